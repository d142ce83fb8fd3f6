import { describe, expect, it } from "vitest";
import { flatten, pictureShape, rgbaOf, shrunk } from "../src/data/pixels";

describe("pictures", () => {
  it("are what has one or three channels of rows", () => {
    expect(pictureShape([1, 8, 8])).toEqual({ channels: 1, height: 8, width: 8 });
    expect(pictureShape([28, 20])).toEqual({ channels: 1, height: 28, width: 20 });
    expect(pictureShape([3, 4, 5])).toEqual({ channels: 3, height: 4, width: 5 });
    expect(pictureShape([13])).toBeNull();
    expect(pictureShape([2, 4, 5])).toBeNull();
    expect(pictureShape([1, 3, 4, 5])).toBeNull();
  });

  it("shrink to the mean of areas", () => {
    const rgba = new Uint8ClampedArray(4 * 16);
    for (const pixel of [0, 1, 4]) rgba.set([255, 255, 255, 255], 4 * pixel);
    const small = shrunk(rgba, { width: 4, height: 4 }, { channels: 1, width: 2, height: 2 });
    expect(small.values[0]).toBeCloseTo(0.75, 6);
    expect([...small.values.slice(1)]).toEqual([0, 0, 0]);
  });

  it("come back from what shrank", () => {
    const pixels = { channels: 3 as const, width: 2, height: 1, values: Float32Array.of(1, 0, 0, 1, 0.5, 0.5) };
    expect([...rgbaOf(pixels)]).toEqual([255, 0, 128, 255, 0, 255, 128, 255]);
  });

  it("flatten from any depth", () => {
    expect(flatten([[1, [2]], 3])).toEqual([1, 2, 3]);
  });
});
