import { signal } from "@preact/signals";
import type { ColourBy } from "../data/paint";
import type { Combine } from "../data/selection";
import type { Theme } from "../data/palette";

/** How the page is looked at; nothing here comes from the service. */
export type Tool = "pan" | "lasso" | "box";
export type Panel = "label" | "learn" | "live" | "lists";

const THEME = "rcmvae-theme";

export const theme = signal<Theme>(initialTheme());
export const tool = signal<Tool>("pan");
/** What a lasso, a box or a click does to what is selected; Shift and Alt do it for once. */
export const combining = signal<Combine>("replace");
export const panel = signal<Panel>("label");
export const colourBy = signal<ColourBy>("answer");
/** The map as a table: chosen, or forced where there is no WebGL. */
export const asTable = signal(false);
export const hovered = signal<number | null>(null);
export const keyDialog = signal(false);

export function setTheme(value: Theme): void {
  theme.value = value;
  document.documentElement.dataset.theme = value;
  localStorage.setItem(THEME, value);
}

function initialTheme(): Theme {
  const kept = localStorage.getItem(THEME);
  const value = kept === "dark" || kept === "light"
    ? kept
    : matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  document.documentElement.dataset.theme = value;
  return value;
}
