const SPARE = "1234567890qwertyuiopasdfghjklzxcvbnm";
/** Keys that do something else on the page. */
const TAKEN = new Set(["/", "?"]);

/** One key for each label: its own character where it is one, else the next that is free. */
export function labelKeys(labels: string[]): Map<string, string> {
  const keys = new Map<string, string>();
  for (const label of labels) {
    const key = label.toLowerCase();
    if ([...label].length === 1 && !keys.has(key) && !TAKEN.has(key) && key.trim()) keys.set(key, label);
  }
  const named = new Set(keys.values());
  const spare = [...SPARE].filter((key) => !keys.has(key));
  for (const label of labels) {
    if (named.has(label)) continue;
    const key = spare.shift();
    if (key === undefined) break;
    keys.set(key, label);
  }
  return keys;
}

/** As the service keeps a label: normal form C, without spaces at the ends; or why it would not. */
export function labelName(text: string): { name: string; fault: string | null } {
  const name = text.normalize("NFC").trim();
  if (!name) return { name, fault: "Type a name." };
  if ([...name].length > 64) return { name, fault: "A name has at most 64 characters." };
  return { name, fault: null };
}
