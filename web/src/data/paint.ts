import { type Category, NONE } from "./category";
import {
  categorical, FADED, type Rgb, STRANGE_COLOUR, type Theme, UNNAMED_COLOUR, viridis,
} from "./palette";
import {
  CATEGORY_COLUMNS, type CategoryColumn, type NumberColumn, type Points, STRANGE, UNNAMED,
} from "./points";

export type ColourBy = CategoryColumn | NumberColumn;

/** What the numbers of a column span, between the 1 % and the 99 % quantile. */
export interface Ramp {
  low: number;
  high: number;
}

/** A colour for each point, before filter and selection: red, green, blue in turn. */
export interface Paint {
  by: ColourBy;
  colours: Uint8Array;
  /** Of a column of numbers. */
  ramp: Ramp | null;
}

export function isCategory(by: ColourBy): by is CategoryColumn {
  return (CATEGORY_COLUMNS as readonly string[]).includes(by);
}

/** Colours of the codes of a column. */
export function codeColours(by: CategoryColumn, category: Category, theme: Theme): Rgb[] {
  return category.names.map((name, code) => {
    if (by === "answer" && name === UNNAMED) return UNNAMED_COLOUR[theme];
    if (by === "answer" && name === STRANGE) return STRANGE_COLOUR[theme];
    if (by === "decision") return [categorical(1, theme), UNNAMED_COLOUR[theme], STRANGE_COLOUR[theme]][code]!;
    return categorical(code, theme);
  });
}

export function paint(points: Points, by: ColourBy, theme: Theme): Paint {
  return isCategory(by) ? paintCodes(points, by, theme) : paintNumbers(points, by, theme);
}

function paintCodes(points: Points, by: CategoryColumn, theme: Theme): Paint {
  const category = points.categories[by];
  const palette = codeColours(by, category, theme);
  const faded = FADED[theme];
  const colours = new Uint8Array(3 * points.count);
  for (let row = 0; row < points.count; row++) {
    const code = category.codes[row]!;
    colours.set(code === NONE ? faded : (palette[code] ?? faded), 3 * row);
  }
  return { by, colours, ramp: null };
}

function paintNumbers(points: Points, by: NumberColumn, theme: Theme): Paint {
  const values = points.numbers[by];
  const ramp = rampOf(values);
  const steps = Array.from({ length: 256 }, (_, i) => viridis(i / 255, theme));
  const width = ramp.high - ramp.low || 1;
  const colours = new Uint8Array(3 * points.count);
  for (let row = 0; row < points.count; row++) {
    const value = values[row]!;
    const step = Math.round((255 * (value - ramp.low)) / width);
    colours.set(Number.isNaN(value) ? FADED[theme] : steps[Math.min(255, Math.max(0, step))]!, 3 * row);
  }
  return { by, colours, ramp };
}

/** From at most 5,000 values at equal distances in the column. */
export function rampOf(values: ArrayLike<number>): Ramp {
  const stride = Math.max(1, Math.floor(values.length / 5000));
  const drawn: number[] = [];
  for (let row = 0; row < values.length; row += stride) {
    if (Number.isFinite(values[row])) drawn.push(values[row]!);
  }
  if (!drawn.length) return { low: 0, high: 1 };
  drawn.sort((a, b) => a - b);
  const at = (share: number): number => drawn[Math.round(share * (drawn.length - 1))]!;
  return { low: at(0.01), high: at(0.99) };
}
