/** Which points are chosen: 1 for each that is. */
export interface Selection {
  mask: Uint8Array;
  count: number;
}

export type Combine = "replace" | "add" | "subtract";

export function noSelection(points: number): Selection {
  return { mask: new Uint8Array(points), count: 0 };
}

/** The selection after some rows were drawn around, with shift (add) or alt (subtract) or neither. */
export function combine(before: Selection, rows: ArrayLike<number>, how: Combine): Selection {
  const mask = how === "replace" ? new Uint8Array(before.mask.length) : before.mask.slice();
  for (let i = 0; i < rows.length; i++) mask[rows[i]!] = how === "subtract" ? 0 : 1;
  return { mask, count: mask.reduce((sum, chosen) => sum + chosen, 0) };
}

/** Of what is chosen, the rows that a mask lets through. */
export function within(selection: Selection, mask: Uint8Array): Selection {
  if (!selection.count || mask.length !== selection.mask.length) return selection;
  const kept = selection.mask.map((chosen, row) => chosen & mask[row]!);
  return { mask: kept, count: kept.reduce((sum, chosen) => sum + chosen, 0) };
}

/** The chosen rows in ascending order. */
export function chosen(selection: Selection): number[] {
  const rows: number[] = [];
  selection.mask.forEach((one, row) => { if (one) rows.push(row); });
  return rows;
}

/** The same points in new rows; a point that is gone is dropped. */
export function carried(before: Selection, oldIds: string[], newIds: string[]): Selection {
  if (!before.count) return noSelection(newIds.length);
  const kept = new Set(chosen(before).map((row) => oldIds[row]!));
  const rows = newIds.flatMap((id, row) => (kept.has(id) ? [row] : []));
  return combine(noSelection(newIds.length), rows, "replace");
}
