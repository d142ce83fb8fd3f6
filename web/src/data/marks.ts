import { countCodes } from "./category";
import { isCategory } from "./paint";
import type { Place } from "./places";
import { type CategoryColumn, type Points, STRANGE, UNNAMED } from "./points";

/** A name that is written on the map, where most of its points are. */
export interface Mark {
  name: string;
  code: number;
  place: Place;
}

const CELLS = 48;
const MOST = 64;

/** Marks of a column; none for columns whose values do not lie together. */
export function marksOf(points: Points, by: string): Mark[] {
  if (!isCategory(by as CategoryColumn) || ["source", "bundle_version", "decision"].includes(by)) return [];
  const category = points.categories[by as CategoryColumn];
  const counts = countCodes(category);
  return category.names.flatMap((name, code) => {
    const least = Math.max(3, 0.002 * points.count);
    if (code >= MOST || counts[code]! < least || name === UNNAMED || name === STRANGE) return [];
    return [{ name, code, place: densest(points, category.codes, code) }];
  });
}

/** The mean of the points of a code in its fullest cell of a grid. */
function densest(points: Points, codes: Uint16Array, code: number): Place {
  const { positions } = points;
  const rows: number[] = [];
  codes.forEach((one, row) => { if (one === code) rows.push(row); });
  let [left, right, low, high] = [Infinity, -Infinity, Infinity, -Infinity];
  for (let i = 0; i < positions.length; i += 2) {
    [left, right] = [Math.min(left, positions[i]!), Math.max(right, positions[i]!)];
    [low, high] = [Math.min(low, positions[i + 1]!), Math.max(high, positions[i + 1]!)];
  }
  const cellOf = (row: number): number => {
    const across = Math.floor(((positions[2 * row]! - left) / (right - left || 1)) * (CELLS - 1));
    const up = Math.floor(((positions[2 * row + 1]! - low) / (high - low || 1)) * (CELLS - 1));
    return up * CELLS + across;
  };
  const filled = new Map<number, number[]>();
  for (const row of rows) {
    const cell = filled.get(cellOf(row));
    if (cell) cell.push(row);
    else filled.set(cellOf(row), [row]);
  }
  const best = [...filled.values()].reduce((a, b) => (b.length > a.length ? b : a));
  const mean = (axis: number): number => best.reduce((sum, row) => sum + positions[2 * row + axis]!, 0) / best.length;
  return [mean(0), mean(1)];
}
