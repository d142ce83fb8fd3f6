import { describe, expect, it } from "vitest";
import { linked } from "../src/data/linkage";

/** The same by asking every pair, again and again until nothing changes. */
function byEveryPair(positions: Float32Array, reach: number): number[][] {
  const count = positions.length / 2;
  const group = Array.from({ length: count }, (_, i) => i);
  for (let changed = true; changed;) {
    changed = false;
    for (let i = 0; i < count; i++) {
      for (let j = 0; j < count; j++) {
        const near = Math.hypot(positions[2 * i]! - positions[2 * j]!, positions[2 * i + 1]! - positions[2 * j + 1]!) <= reach;
        if (near && group[j]! < group[i]!) [group[i], changed] = [group[j]!, true];
      }
    }
  }
  return [...new Set(group)].map((name) => group.flatMap((one, i) => (one === name ? [i] : [])));
}

/** Numbers in [0, 1) that are the same each time. */
function* drawn(seed: number): Generator<number> {
  for (let state = seed; ;) {
    state = (1664525 * state + 1013904223) % 2 ** 32;
    yield state / 2 ** 32;
  }
}

describe("what lies together", () => {
  it("is what chains of short steps connect", () => {
    for (let seed = 0; seed < 60; seed++) {
      const numbers = drawn(seed);
      const count = 2 + (seed % 30);
      const positions = Float32Array.from({ length: 2 * count }, () => 4 * numbers.next().value! - 2);
      const reach = 0.1 + 0.02 * seed;
      const found = linked(positions, reach).sort((a, b) => a[0]! - b[0]!);
      expect(found).toEqual(byEveryPair(positions, reach).sort((a, b) => a[0]! - b[0]!));
    }
  });

  it("holds points at one place", () => {
    expect(linked(new Float32Array([1, 1, 1, 1, 5, 5]), 0.5).map((rows) => rows.length).sort()).toEqual([1, 2]);
  });

  it("is found in a crowd", () => {
    const numbers = drawn(1);
    const crowd = Float32Array.from({ length: 200_000 }, () => numbers.next().value!);
    expect(linked(crowd, 0.06).map((rows) => rows.length)).toEqual([100_000]);
  });
});
