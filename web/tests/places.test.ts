import { describe, expect, it } from "vitest";
import { isInside, type Place, Places } from "../src/data/places";

function scattered(count: number): Float32Array {
  let state = 7;
  const next = (): number => (state = (state * 48271) % 2147483647) / 2147483647;
  return Float32Array.from({ length: 2 * count }, next);
}

const star: Place[] = [[0.1, 0.1], [0.5, 0.9], [0.9, 0.1], [0.05, 0.6], [0.95, 0.6]];

describe("Places", () => {
  const positions = scattered(2000);
  const places = new Places(positions, 2000);

  it("finds in a lasso exactly what a test of every point finds", () => {
    const all = Array.from({ length: 2000 }, (_, row) => row);
    const expected = all.filter((row) => isInside(positions[2 * row]!, positions[2 * row + 1]!, star));
    expect(expected.length).toBeGreaterThan(100);
    expect(places.inLasso(star).sort((a, b) => a - b)).toEqual(expected);
  });

  it("leaves out what the even-odd rule leaves out: the middle of a star drawn in one line", () => {
    expect(isInside(0.5, 0.5, star)).toBe(false);
    expect(isInside(0.5, 0.8, star)).toBe(true);
  });

  it("finds nothing in a line", () => {
    expect(places.inLasso([[0, 0], [1, 1]])).toEqual([]);
  });

  it("takes a box from any two corners", () => {
    const a = places.inBox([0.2, 0.8], [0.4, 0.3]).sort();
    expect(a).toEqual(places.inBox([0.4, 0.3], [0.2, 0.8]).sort());
    expect(a.every((row) => positions[2 * row]! >= 0.2 - 1e-6 && positions[2 * row]! <= 0.4 + 1e-6)).toBe(true);
  });

  it("finds the nearest that is let through", () => {
    const place: Place = [positions[0]!, positions[1]!];
    expect(places.nearest(place, 0.1)).toBe(0);
    const without = new Uint8Array(2000).fill(1);
    without[0] = 0;
    const next = places.nearest(place, 0.2, without)!;
    expect(next).not.toBe(0);
    expect(places.nearest([9, 9], 0.1)).toBeNull();
  });

  it("may be empty", () => {
    const empty = new Places(new Float32Array(0), 0);
    expect(empty.inBox([-1, -1], [1, 1])).toEqual([]);
    expect(empty.nearest([0, 0], 1)).toBeNull();
  });
});
