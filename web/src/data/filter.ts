import { NONE } from "./category";
import type { CategoryColumn, NumberColumn, Points } from "./points";

/** What is let through: codes that are switched off in a legend, and ranges of numbers. */
export interface Filter {
  off: Partial<Record<CategoryColumn, readonly number[]>>;
  ranges: Partial<Record<NumberColumn, readonly [number, number]>>;
}

export const NO_FILTER: Filter = { off: {}, ranges: {} };

export function isFiltering(filter: Filter): boolean {
  return Object.values(filter.off).some((codes) => codes.length > 0) || Object.keys(filter.ranges).length > 0;
}

/** A legend's entry switched the other way. */
export function toggled(filter: Filter, column: CategoryColumn, code: number): Filter {
  const off = filter.off[column] ?? [];
  const changed = off.includes(code) ? off.filter((one) => one !== code) : [...off, code];
  return { ...filter, off: { ...filter.off, [column]: changed } };
}

/** Only this entry of a legend, or all of them where it already stands alone. */
export function only(filter: Filter, column: CategoryColumn, code: number, codes: number): Filter {
  const others = [...Array(codes).keys(), NONE].filter((one) => one !== code);
  const off = filter.off[column] ?? [];
  const stands = !off.includes(code) && others.every((one) => off.includes(one));
  return { ...filter, off: { ...filter.off, [column]: stands ? [] : others } };
}

export function ranged(filter: Filter, column: NumberColumn, range: readonly [number, number] | null): Filter {
  const ranges = { ...filter.ranges };
  if (range) ranges[column] = range;
  else delete ranges[column];
  return { ...filter, ranges };
}

/** 1 for each point that the filter lets through. */
export function passing(points: Points, filter: Filter): Uint8Array {
  const mask = new Uint8Array(points.count).fill(1);
  for (const [column, codes] of Object.entries(filter.off) as [CategoryColumn, readonly number[]][]) {
    if (!codes.length) continue;
    const off = new Set(codes);
    points.categories[column].codes.forEach((code, row) => { if (off.has(code)) mask[row] = 0; });
  }
  for (const [column, [low, high]] of Object.entries(filter.ranges) as [NumberColumn, [number, number]][]) {
    const values = points.numbers[column];
    for (let row = 0; row < points.count; row++) {
      const value = values[row]!;
      if (!(value >= low && value <= high)) mask[row] = 0;
    }
  }
  return mask;
}
