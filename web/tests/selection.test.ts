import { describe, expect, it } from "vitest";
import { carried, chosen, combine, noSelection, within } from "../src/data/selection";

describe("a selection", () => {
  const three = combine(noSelection(6), [1, 3, 5], "replace");

  it("is replaced, added to and taken from", () => {
    expect(chosen(three)).toEqual([1, 3, 5]);
    expect(chosen(combine(three, [2, 3], "add"))).toEqual([1, 2, 3, 5]);
    expect(chosen(combine(three, [2, 3], "subtract"))).toEqual([1, 5]);
    expect(chosen(combine(three, [0], "replace"))).toEqual([0]);
  });

  it("counts a row that is drawn around twice once", () => {
    expect(combine(noSelection(4), [2, 2, 2], "add").count).toBe(1);
  });

  it("leaves the one before as it was", () => {
    combine(three, [0], "add");
    expect(three.count).toBe(3);
  });

  it("leaves out what is greyed, and has it again when that is shown", () => {
    const shown = within(three, Uint8Array.from([1, 1, 1, 0, 1, 1]));
    expect(chosen(shown)).toEqual([1, 5]);
    expect(shown.count).toBe(2);
    expect(within(three, new Uint8Array(6).fill(1))).toEqual(three);
  });

  it("follows its points into another version, without those that are gone", () => {
    const after = carried(three, ["a", "b", "c", "d", "e", "f"], ["f", "x", "b"]);
    expect(chosen(after)).toEqual([0, 2]);
    expect(after.count).toBe(2);
  });
});
