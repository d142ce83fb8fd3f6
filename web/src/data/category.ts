/** A column of few distinct texts: a code for each row, and what the codes mean. */
export interface Category {
  codes: Uint16Array;
  names: string[];
}

/** The code of a row without a value. */
export const NONE = 0xffff;

/** Codes the values of a column in the order in which they first come, after those given. */
export function categoryOf(values: Iterable<string | null>, count: number, first: string[] = []): Category {
  const codes = new Uint16Array(count);
  const names = [...first];
  const known = new Map(names.map((name, code) => [name, code]));
  let row = 0;
  for (const value of values) {
    codes[row++] = value === null ? NONE : codeOf(value, names, known);
  }
  return { codes, names };
}

export function nameAt(category: Category, row: number): string | null {
  return category.names[category.codes[row]!] ?? null;
}

/** How many rows have each code, only those that `counted` lets through. */
export function countCodes(category: Category, counted?: Uint8Array): Uint32Array {
  const counts = new Uint32Array(category.names.length);
  for (let row = 0; row < category.codes.length; row++) {
    const code = category.codes[row]!;
    if (code !== NONE && (!counted || counted[row])) counts[code]!++;
  }
  return counts;
}

function codeOf(value: string, names: string[], known: Map<string, number>): number {
  const code = known.get(value);
  if (code !== undefined) return code;
  // One column never has so many names; what comes after shares the last code.
  if (names.length >= NONE) return NONE - 1;
  known.set(value, names.length);
  names.push(value);
  return names.length - 1;
}
