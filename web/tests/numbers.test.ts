import { describe, expect, it } from "vitest";
import { numberOf, numbersOf } from "../src/data/numbers";

describe("a number", () => {
  it("is read as people write it", () => {
    expect([" 1.5 ", "1,5", "-2e-3", "0"].map(numberOf)).toEqual([1.5, 1.5, -0.002, 0]);
  });

  it("is nothing else", () => {
    expect(["", "  ", "a", "1.5.2", "1,2,3", "Infinity", "NaN"].map(numberOf)).toEqual(Array(7).fill(null));
  });
});

describe("a row of numbers", () => {
  it("is parted by what spreadsheets and programs put between them", () => {
    for (const text of ["1.5 2 -3", "1.5\t2\t-3\n", "1.5,2,-3", "1.5, 2, -3", "1.5;2;-3", "1,5; 2; -3", "1,5\t2\t-3"]) {
      expect(numbersOf(text), text).toEqual([1.5, 2, -3]);
    }
  });

  it("is none where something else stands in it", () => {
    expect(numbersOf("1 2 red")).toBeNull();
  });
});
