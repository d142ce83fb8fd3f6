import { describe, expect, it } from "vitest";
import { categorical, contrast, luminance, type Rgb, STRANGE_COLOUR, type Theme, UNNAMED_COLOUR, viridis } from "../src/data/palette";
import { rampOf } from "../src/data/paint";

const PAPER: Record<Theme, Rgb> = { light: [255, 255, 255], dark: [18, 21, 26] };

/** Full deuteranopia and protanopia, Machado et al. (2009), on linear light. */
const BLIND = {
  deuteranopia: [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
  protanopia: [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
};

function seen([r, g, b]: Rgb, matrix: number[][]): [number, number, number] {
  const linear = [r, g, b].map((value) => (value / 255 <= 0.04045 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4));
  return matrix.map((row) => row.reduce((sum, weight, i) => sum + weight * linear[i]!, 0)) as [number, number, number];
}

function lab([r, g, b]: [number, number, number]): number[] {
  const f = (t: number): number => (t > 0.008856 ? Math.cbrt(t) : 7.787 * t + 16 / 116);
  const x = f((0.4124 * r + 0.3576 * g + 0.1805 * b) / 0.9505);
  const y = f(0.2126 * r + 0.7152 * g + 0.0722 * b);
  const z = f((0.0193 * r + 0.1192 * g + 0.9505 * b) / 1.089);
  return [116 * y - 16, 500 * (x - y), 200 * (y - z)];
}

describe.each(["light", "dark"] as const)("in the %s theme", (theme) => {
  const first = Array.from({ length: 7 }, (_, code) => categorical(code, theme));

  it("every colour stands out from the background", () => {
    for (const colour of [...first, UNNAMED_COLOUR[theme], STRANGE_COLOUR[theme]]) {
      expect(contrast(colour, PAPER[theme])).toBeGreaterThan(1.9);
    }
  });

  it.each(Object.entries(BLIND))("the first seven differ under %s", (_, matrix) => {
    const colours = first.map((colour) => lab(seen(colour, matrix)));
    for (let i = 0; i < colours.length; i++) {
      for (let j = 0; j < i; j++) {
        const distance = Math.hypot(...colours[i]!.map((value, axis) => value - colours[j]![axis]!));
        expect(distance, `${i} and ${j}`).toBeGreaterThan(8);
      }
    }
  });

  it("viridis grows lighter all the way", () => {
    const lights = Array.from({ length: 50 }, (_, i) => luminance(viridis(i / 49, theme)));
    for (let i = 1; i < lights.length; i++) expect(lights[i]!).toBeGreaterThan(lights[i - 1]!);
    expect(viridis(-3, theme)).toEqual(viridis(0, theme));
    expect(viridis(7, theme)).toEqual(viridis(1, theme));
  });
});

describe("the span of a column", () => {
  it("leaves out one per cent on each side, and what is no number", () => {
    const values = Float64Array.from({ length: 1001 }, (_, i) => (i === 500 ? Number.NaN : i));
    const ramp = rampOf(values);
    expect(ramp.low).toBeGreaterThanOrEqual(9);
    expect(ramp.high).toBeLessThanOrEqual(991);
  });

  it("of nothing is from 0 to 1", () => {
    expect(rampOf([Number.NaN])).toEqual({ low: 0, high: 1 });
  });
});
