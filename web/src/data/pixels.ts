import type { Nested } from "../api/shapes";

/** An input's picture: grey or red, green, blue values in [0, 1], rows from the top. */
export interface Pixels {
  width: number;
  height: number;
  channels: 1 | 3;
  /** Channels first, as the service takes them. */
  values: Float32Array;
}

/** Rows and columns of an input shape; null where it is no picture. */
export function pictureShape(shape: readonly number[]): Omit<Pixels, "values"> | null {
  const [channels, height, width] = shape.length === 2 ? [1, ...shape] : shape;
  if (shape.length > 3 || !height || !width || (channels !== 1 && channels !== 3)) return null;
  return { channels, height, width };
}

/** A larger picture of RGBA bytes made small by the mean over areas. */
export function shrunk(rgba: Uint8ClampedArray, side: { width: number; height: number }, shape: Omit<Pixels, "values">): Pixels {
  const values = new Float32Array(shape.channels * shape.height * shape.width);
  for (let y = 0; y < shape.height; y++) {
    for (let x = 0; x < shape.width; x++) {
      const mean = meanOf(rgba, side, [
        Math.floor((x * side.width) / shape.width), Math.ceil(((x + 1) * side.width) / shape.width),
        Math.floor((y * side.height) / shape.height), Math.ceil(((y + 1) * side.height) / shape.height),
      ]);
      if (shape.channels === 1) values[y * shape.width + x] = 0.299 * mean[0] + 0.587 * mean[1] + 0.114 * mean[2];
      else mean.forEach((value, i) => { values[(i * shape.height + y) * shape.width + x] = value; });
    }
  }
  return { ...shape, values };
}

/** RGBA bytes of a picture whose values span low to high. */
export function rgbaOf(pixels: Pixels, low = 0, high = 1): Uint8ClampedArray<ArrayBuffer> {
  const size = pixels.width * pixels.height;
  const rgba = new Uint8ClampedArray(4 * size);
  for (let i = 0; i < size; i++) {
    for (let c = 0; c < 3; c++) {
      const value = pixels.values[(pixels.channels === 3 ? c : 0) * size + i]!;
      rgba[4 * i + c] = (255 * (value - low)) / (high - low || 1);
    }
    rgba[4 * i + 3] = 255;
  }
  return rgba;
}

export function flatten(values: Nested): number[] {
  return typeof values === "number" ? [values] : values.flatMap(flatten);
}

function meanOf(rgba: Uint8ClampedArray, side: { width: number }, [left, right, top, bottom]: [number, number, number, number]): [number, number, number] {
  const sum: [number, number, number] = [0, 0, 0];
  for (let y = top; y < bottom; y++) {
    for (let x = left; x < right; x++) {
      for (let c = 0; c < 3; c++) sum[c]! += rgba[4 * (y * side.width + x) + c]! / 255;
    }
  }
  const area = (right - left) * (bottom - top);
  return sum.map((value) => value / area) as [number, number, number];
}
