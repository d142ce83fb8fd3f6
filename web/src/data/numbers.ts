/** A number as people write it, also with a decimal comma; null where it is none. */
export function numberOf(text: string): number | null {
  const plain = text.trim().replace(",", ".");
  const value = Number(plain);
  return plain && Number.isFinite(value) ? value : null;
}

/** The numbers of a text of several, parted by spaces, tabs, semicolons, or commas; null where some are none. */
export function numbersOf(text: string): number[] | null {
  const trimmed = text.trim();
  // With other separators a comma is a decimal comma, but for the one before a space.
  const parts = /[\s;]/.test(trimmed) ? trimmed.split(/[\s;]+|,\s+/) : trimmed.split(",");
  const values = parts.filter((part) => part !== "").map((part) => numberOf(part.replace(/,$/, "")));
  return values.includes(null) ? null : (values as number[]);
}
