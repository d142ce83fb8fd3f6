import { type Paint, codeColours } from "../data/paint";
import { FADED, type Rgb, type Theme, UNNAMED_COLOUR } from "../data/palette";
import type { Points } from "../data/points";
import type { Selection } from "../data/selection";
import type { Drawing, Raised } from "./scene";

/** All that decides how the points look. */
export interface Look {
  points: Points;
  paint: Paint;
  visible: Uint8Array;
  selection: Selection;
  /** Labels that wait to be learned, by point. */
  pending: ReadonlyMap<string, string>;
  theme: Theme;
  labels: string[];
  zoomIn: number;
}

const INK: Record<Theme, Rgb> = { light: [20, 24, 31], dark: [255, 255, 255] };
const PAPER: Record<Theme, Rgb> = { light: [255, 255, 255], dark: [18, 21, 26] };

/** Radius in pixels: smaller for many points, larger when close. */
export function radiusOf(count: number, zoomIn: number): number {
  const base = count > 50_000 ? 1.4 : count > 8000 ? 2 : count > 2000 ? 3 : 3.6;
  return Math.min(9, base * 2 ** (0.35 * Math.max(0, zoomIn)));
}

export function drawingOf(look: Look, positions: Float32Array): Drawing {
  const radius = radiusOf(look.points.count, look.zoomIn);
  return { positions, fill: fillOf(look), radius, raised: raisedOf(look, radius) };
}

function fillOf({ points, paint, visible, selection, theme }: Look): Uint8Array {
  const fill = new Uint8Array(4 * points.count);
  const faded = FADED[theme];
  for (let row = 0; row < points.count; row++) {
    const shown = visible[row] === 1;
    for (let i = 0; i < 3; i++) fill[4 * row + i] = shown ? paint.colours[3 * row + i]! : faded[i]!;
    fill[4 * row + 3] = !shown ? 110 : selection.count && !selection.mask[row] ? 75 : 215;
  }
  return fill;
}

function raisedOf(look: Look, radius: number): Raised | null {
  const { points, visible, selection, paint, theme, pending } = look;
  const decision = points.categories.decision.codes;
  const loud = paint.by === "answer" || paint.by === "decision" || paint.by === "label";
  const rows: number[] = [];
  for (let row = 0; row < points.count; row++) {
    if (!visible[row]) continue;
    if (selection.mask[row] || (loud && decision[row] === 1) || pending.has(points.ids[row]!)) rows.push(row);
  }
  if (!rows.length) return null;
  const raised: Raised = {
    rows,
    fill: new Uint8Array(4 * rows.length),
    line: new Uint8Array(4 * rows.length),
    radii: new Float32Array(rows.length),
  };
  const byLabel = new Map(
    codeColours("label", { codes: points.categories.label.codes, names: look.labels }, theme).map(
      (colour, code) => [look.labels[code]!, colour],
    ),
  );
  rows.forEach((row, i) => {
    const label = pending.get(points.ids[row]!);
    const own = Array.from(paint.colours.subarray(3 * row, 3 * row + 3)) as unknown as Rgb;
    const unnamed = loud && decision[row] === 1 && label === undefined;
    const fill = label !== undefined ? (byLabel.get(label) ?? own) : unnamed ? UNNAMED_COLOUR[theme] : own;
    const line = selection.mask[row] ? INK[theme] : label !== undefined ? INK[theme] : PAPER[theme];
    const dimmed = selection.count > 0 && !selection.mask[row];
    raised.fill.set([...fill, dimmed ? 150 : 255], 4 * i);
    raised.line.set([...line, dimmed ? 120 : 255], 4 * i);
    raised.radii[i] = Math.max(unnamed ? 3 : 2.6, radius * (unnamed ? 1.45 : 1.25) + 0.6);
  });
  return raised;
}
