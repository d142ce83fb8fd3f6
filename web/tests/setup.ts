import { vi } from "vitest";

/** The tab's storage, which node does not have. */
const kept = new Map<string, string>();
vi.stubGlobal("sessionStorage", {
  getItem: (name: string) => kept.get(name) ?? null,
  setItem: (name: string, value: string) => { kept.set(name, value); },
  removeItem: (name: string) => { kept.delete(name); },
});
