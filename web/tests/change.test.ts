import { describe, expect, it } from "vitest";
import { baseline, changed, type Summary, withServed } from "../src/data/change";

function summary(version: string, nines: number): Summary {
  return { version, answers: new Map([["9", nines], ["unknown class", 129 - nines]]) };
}

function seen(...summaries: Summary[]): Summary[] {
  return summaries.reduce<Summary[]>(withServed, []);
}

describe("what learning changed", () => {
  it("counts from what was served first, though it was learned in two steps", () => {
    const served = seen(summary("a", 0), summary("b", 121), summary("c", 121));
    expect(changed(baseline(served)!, served.at(-1)!)[0]).toEqual({ answer: "9", before: 0, after: 121 });
  });

  it("counts from what was left where a version comes back", () => {
    const served = seen(summary("a", 0), summary("b", 100), summary("c", 121), summary("a", 0));
    expect(baseline(served)!.version).toBe("c");
    expect(baseline(seen(...served, summary("d", 5)))!.version).toBe("a");
  });

  it("takes the newest count of a version, and has nothing to compare with one alone", () => {
    const served = seen(summary("a", 0), summary("a", 3));
    expect(served).toEqual([summary("a", 3)]);
    expect(baseline(served)).toBeNull();
    expect(baseline([])).toBeNull();
  });

  it("forgets the oldest of many", () => {
    const served = seen(...Array.from({ length: 30 }, (_, n) => summary(`v${n}`, n)));
    expect(served.length).toBe(20);
    expect(served.at(-1)!.version).toBe("v29");
  });
});
