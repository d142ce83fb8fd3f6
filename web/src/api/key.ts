import { signal } from "@preact/signals";

const NAME = "rcmvae-key";

/** The API key of this tab; it ends with the tab. */
export const key = signal<string>(sessionStorage.getItem(NAME) ?? "");

/** Set when an answer was 401; the page asks for a key once, not at every answer. */
export const keyWanted = signal(false);
let refusedKey: string | null = null;

export function setKey(value: string): void {
  key.value = value.trim();
  keyWanted.value = false;
  refusedKey = null;
  if (key.value) sessionStorage.setItem(NAME, key.value);
  else sessionStorage.removeItem(NAME);
}

/** The service did not let a request with this key in, or one without a key. */
export function refuseKey(sent: string): void {
  // Of an answer that comes late the key may have been replaced already.
  if (sent !== key.value || refusedKey === sent) return;
  refusedKey = sent;
  keyWanted.value = true;
}
