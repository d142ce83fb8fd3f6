import { describe, expect, it } from "vitest";
import { labelKeys, labelName } from "../src/data/keys";

describe("the keys of labels", () => {
  it("are the labels themselves where they are one character", () => {
    expect([...labelKeys(["0", "1", "9"])]).toEqual([["0", "0"], ["1", "1"], ["9", "9"]]);
  });

  it("are the next that is free for other names", () => {
    const keys = labelKeys(["circle", "1", "square"]);
    expect(keys.get("1")).toBe("1");
    expect(keys.get("2")).toBe("circle");
    expect(keys.get("3")).toBe("square");
  });

  it("are never shared, and end when there are none left", () => {
    const keys = labelKeys(Array.from({ length: 100 }, (_, i) => `class ${i}`));
    expect(new Set(keys.values()).size).toBe(keys.size);
    expect(keys.size).toBe(36);
  });
});

describe("a label's name", () => {
  it("is normal form C without spaces at the ends", () => {
    expect(labelName("  e\u0301te\u0301 ")).toEqual({ name: "été", fault: null });
  });

  it("is neither empty nor long", () => {
    expect(labelName("   ").fault).not.toBeNull();
    expect(labelName("x".repeat(65)).fault).not.toBeNull();
    expect(labelName("x".repeat(64)).fault).toBeNull();
  });
});
