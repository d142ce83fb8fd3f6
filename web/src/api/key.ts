import { signal } from "@preact/signals";

const NAME = "rcmvae-key";

/** The API key of this tab; it ends with the tab. */
export const key = signal<string>(sessionStorage.getItem(NAME) ?? "");

/** Set when an answer was 401. */
export const keyWanted = signal(false);

export function setKey(value: string): void {
  key.value = value.trim();
  keyWanted.value = false;
  if (key.value) sessionStorage.setItem(NAME, key.value);
  else sessionStorage.removeItem(NAME);
}
