/** Red, green, blue in 0 to 255. */
export type Rgb = readonly [number, number, number];
export type Theme = "light" | "dark";

// Okabe and Ito (2008), without black; then Tol's "muted" (2021) where a map has more labels. On white the
// yellow is darker, on black the blue and the wine are lighter than printed: 3:1 to the background.
const CATEGORICAL: Record<Theme, string[]> = {
  light: [
    "#d08700", "#2f94d6", "#009e73", "#c9ba00", "#0064a8", "#b84a00", "#c0659a",
    "#882255", "#3a9c8c", "#7f7f22", "#5a4fc0", "#7a5230",
  ],
  dark: [
    "#e69f00", "#56b4e9", "#00b586", "#f0e442", "#3d8fd1", "#ee7733", "#d58bb4",
    "#c4608f", "#7fd6c5", "#b9b955", "#9a92f0", "#c79a6b",
  ],
};

/** Viridis at nine equal steps (van der Walt and Smith, 2015). */
const VIRIDIS = [
  "#440154", "#472d7b", "#3b528b", "#2c728e", "#21918c", "#28ae80", "#5ec962", "#addc30", "#fde725",
];

export const UNNAMED_COLOUR: Record<Theme, Rgb> = { light: [224, 0, 110], dark: [255, 64, 160] };
export const STRANGE_COLOUR: Record<Theme, Rgb> = { light: [125, 130, 138], dark: [138, 144, 154] };
/** Of points outside of a filter, or without a value. */
export const FADED: Record<Theme, Rgb> = { light: [196, 200, 206], dark: [62, 68, 78] };

export function categorical(code: number, theme: Theme): Rgb {
  const colours = CATEGORICAL[theme];
  return rgb(colours[code % colours.length]!);
}

/** Viridis at a share in [0, 1]; the light theme stops before the yellow that white swallows. */
export function viridis(share: number, theme: Theme): Rgb {
  const low = theme === "dark" ? 0.12 : 0;
  const high = theme === "dark" ? 1 : 0.9;
  const at = (low + (high - low) * Math.min(1, Math.max(0, share))) * (VIRIDIS.length - 1);
  const below = Math.min(VIRIDIS.length - 2, Math.floor(at));
  const from = rgb(VIRIDIS[below]!);
  const to = rgb(VIRIDIS[below + 1]!);
  return [0, 1, 2].map((i) => Math.round(from[i]! + (to[i]! - from[i]!) * (at - below))) as unknown as Rgb;
}

export function rgb(hex: string): Rgb {
  return [1, 3, 5].map((at) => Number.parseInt(hex.slice(at, at + 2), 16)) as unknown as Rgb;
}

export function css([r, g, b]: Rgb, alpha = 1): string {
  return `rgb(${r} ${g} ${b} / ${alpha})`;
}

/** Relative luminance of WCAG 2.2. */
export function luminance(colour: Rgb): number {
  const [r, g, b] = colour.map((value) => {
    const share = value / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  }) as [number, number, number];
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

/** Contrast ratio of WCAG 2.2, 1 to 21. */
export function contrast(a: Rgb, b: Rgb): number {
  const [high, low] = [luminance(a), luminance(b)].sort((x, y) => y - x) as [number, number];
  return (high + 0.05) / (low + 0.05);
}
