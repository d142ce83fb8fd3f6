/** A share in [0, 1] in per cent. */
export function percent(share: number | null | undefined, digits = 1): string {
  return share === null || share === undefined || Number.isNaN(share) ? "–" : `${(100 * share).toFixed(digits)} %`;
}

/** Three significant digits; thousands in full. */
export function short(value: number | null | undefined): string {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  const size = Math.abs(value);
  if (size < 1e-6) return "0";
  if (size >= 1000 && size < 1e6) return count(Math.round(value));
  return size >= 1000 || size < 0.001 ? value.toExponential(1) : String(Number(value.toPrecision(3)));
}

export function count(value: number): string {
  return value.toLocaleString("en");
}

/** "312 points", "1 point". */
export function counted(value: number, noun: string): string {
  return `${count(value)} ${noun}${value === 1 ? "" : "s"}`;
}

/** How long ago, in the largest unit that fits. */
export function ago(milliseconds: number, now = Date.now()): string {
  const seconds = Math.max(0, (now - milliseconds) / 1000);
  if (seconds < 60) return `${Math.floor(seconds)} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ago`;
  return `${Math.floor(seconds / 86_400)} d ago`;
}

/** The readable part of a bundle version: its time and the start of its hash. */
export function versionName(version: string): string {
  const match = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z-(\w+)$/.exec(version);
  return match ? `${match[2]}-${match[3]} ${match[4]}:${match[5]}:${match[6]} · ${match[7]!.slice(0, 4)}` : version;
}
