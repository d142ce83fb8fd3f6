import { linked } from "./linkage";
import type { Place } from "./places";
import type { Points } from "./points";

/** Inputs of one unknown kind that lie together on the map. */
export interface Group {
  rows: number[];
  centre: Place;
  /** Half of the width and of the height of the middle nine tenths. */
  radius: number;
}

const LEAST = 8;
const REACH = 0.04;

/** Groups of the points that nobody has named, the largest first.
 *
 * Two points belong together where they are nearer than 4 % of the map's extent; a group has at least
 * 8 points, and what is left over alone is no group.
 */
export function unnamedGroups(points: Points, without: Uint8Array | null = null): Group[] {
  const { codes } = points.categories.decision;
  const rows: number[] = [];
  codes.forEach((code, row) => { if (code === 1 && !without?.[row]) rows.push(row); });
  if (rows.length < LEAST) return [];
  const positions = new Float32Array(2 * rows.length);
  rows.forEach((row, i) => positions.set(points.positions.subarray(2 * row, 2 * row + 2), 2 * i));
  return linked(positions, REACH * extentOf(points))
    .filter((group) => group.length >= LEAST)
    .sort((a, b) => b.length - a.length)
    .map((group) => described(points, group.map((i) => rows[i]!)));
}

export function described(points: Points, rows: number[]): Group {
  const xs = rows.map((row) => points.positions[2 * row]!).sort((a, b) => a - b);
  const ys = rows.map((row) => points.positions[2 * row + 1]!).sort((a, b) => a - b);
  const at = (sorted: number[], share: number): number => sorted[Math.round(share * (sorted.length - 1))]!;
  const width = at(xs, 0.95) - at(xs, 0.05);
  const height = at(ys, 0.95) - at(ys, 0.05);
  return { rows, centre: [at(xs, 0.5), at(ys, 0.5)], radius: Math.max(width, height) / 2 };
}

/** The longer side of the box around the middle 98 % of the points. */
export function extentOf(points: Points): number {
  if (!points.count) return 1;
  const stride = Math.max(1, Math.floor(points.count / 5000));
  const rows = Array.from({ length: Math.ceil(points.count / stride) }, (_, i) => i * stride);
  const sides = [0, 1].map((axis) => {
    const sorted = rows.map((row) => points.positions[2 * row + axis]!).sort((a, b) => a - b);
    const cut = Math.floor(0.01 * (sorted.length - 1));
    return sorted[sorted.length - 1 - cut]! - sorted[cut]!;
  });
  return Math.max(...sides) || 1;
}
