import { float32, int16, tableFromArrays, tableToIPC, timestamp, utf8, dictionary } from "@uwdata/flechette";
import { describe, expect, it } from "vitest";
import { noSelection } from "../src/data/selection";
import { drawingOf } from "../src/map/drawing";
import { changed, summaryOf } from "../src/data/change";
import { nameAt, NONE } from "../src/data/category";
import { NO_FILTER, only, passing, ranged, toggled } from "../src/data/filter";
import { unnamedGroups } from "../src/data/groups";
import { between, startsOf } from "../src/data/morph";
import { paint } from "../src/data/paint";
import { FADED, UNNAMED_COLOUR } from "../src/data/palette";
import { type Points, readPoints, STRANGE, UNNAMED } from "../src/data/points";

/** A map as the service writes it: knowns on a line, a knot of unknowns, one stray. */
function map(): Points {
  const knowns = 40, knot = 12;
  const count = knowns + knot + 2;
  const at = Array.from({ length: count }, (_, i) => i);
  const decision = at.map((i) => (i < knowns ? "known" : i < count - 1 ? "unknown_class" : "out_of_distribution"));
  const x = at.map((i) => (i < knowns ? i : i < knowns + knot ? 20 + 0.05 * (i - knowns) : 2));
  const y = at.map((i) => (i < knowns ? 0 : i < knowns + knot ? 15 : i));
  const table = tableFromArrays(
    {
      point_id: at.map((i) => (i % 2 ? `r-${i}` : `p-${i}`)),
      source: at.map((i) => (i % 2 ? "reference" : "capture")),
      x, y,
      label: at.map((i) => (i < 3 ? "a" : null)),
      predicted: at.map((i) => (i % 3 ? "a" : "b")),
      channel: at.map((i) => (i === 0 ? -1 : i % 5)),
      total: at.map((i) => i / 10), aleatoric: at, epistemic: at, p_familiar: at, p_owned: at,
      decision,
      created: at.map((i) => (i ? new Date(1e12 + i) : null)),
      bundle_version: at.map(() => "v1"),
    },
    {
      types: {
        point_id: utf8(), source: dictionary(utf8()), x: float32(), y: float32(), label: dictionary(utf8()),
        predicted: dictionary(utf8()), channel: int16(), total: float32(), aleatoric: float32(),
        epistemic: float32(), p_familiar: float32(), p_owned: float32(), decision: dictionary(utf8()),
        created: timestamp(), bundle_version: dictionary(utf8()),
      },
    },
  );
  table.schema.metadata = new globalThis.Map([["bundle_version", "v1"], ["labels", '["a","b"]']]);
  const bytes = tableToIPC(table, { format: "stream" })!;
  return readPoints(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer);
}

describe("the map's points", () => {
  const points = map();

  it("come out of the Arrow stream", () => {
    expect([points.count, points.version, points.labels]).toEqual([54, "v1", ["a", "b"]]);
    expect(points.ids.slice(0, 3)).toEqual(["p-0", "r-1", "p-2"]);
    expect(points.positions.slice(2, 4)).toEqual(Float32Array.of(1, 0));
    expect(nameAt(points.categories.label, 0)).toBe("a");
    expect(points.categories.label.codes[5]).toBe(NONE);
    expect(points.categories.channel.codes[0]).toBe(NONE);
    expect(nameAt(points.categories.channel, 7)).toBe("2");
    expect(points.numbers.total[7]).toBeCloseTo(0.7, 6);
    expect(points.numbers.created[3]).toBe(1e12 + 3);
  });

  it("are answered with a label only where they are known", () => {
    expect(nameAt(points.categories.answer, 1)).toBe("a");
    expect(nameAt(points.categories.answer, 45)).toBe(UNNAMED);
    expect(nameAt(points.categories.answer, 53)).toBe(STRANGE);
  });

  it("are coloured loudly where nobody has named them", () => {
    const { colours } = paint(points, "answer", "dark");
    expect([...colours.slice(3 * 45, 3 * 46)]).toEqual([...UNNAMED_COLOUR.dark]);
    expect(paint(points, "total", "dark").ramp!.high).toBeCloseTo(5.2, 1);
  });

  it("have one group that nobody has named, without the stray", () => {
    const groups = unnamedGroups(points);
    expect(groups.map((group) => group.rows.length)).toEqual([12]);
    expect(groups[0]!.centre[1]).toBe(15);
    const labelled = new Uint8Array(points.count).fill(1);
    expect(unnamedGroups(points, labelled)).toEqual([]);
  });

  it("that a filter leaves out are grey and stay where they are", () => {
    const visible = Uint8Array.from(points.categories.answer.codes, (code) => (code === 0 ? 1 : 0));
    const { positions, fill, raised } = drawingOf({
      points, paint: paint(points, "answer", "light"), visible, selection: noSelection(points.count),
      pending: new Map(), theme: "light", labels: points.labels, zoomIn: 0,
    }, points.positions);
    expect(positions).toBe(points.positions);
    const out = visible.indexOf(0);
    expect([...fill.subarray(4 * out, 4 * out + 3)]).toEqual([...FADED.light]);
    expect(fill[4 * out + 3]).toBeGreaterThan(0);
    expect([...fill.subarray(4 * visible.indexOf(1), 4 * visible.indexOf(1) + 3)]).not.toEqual([...FADED.light]);
    // Unknown ones are loud no more.
    expect(raised).toBeNull();
  });

  it("pass a filter by code and by number", () => {
    const off = toggled(NO_FILTER, "source", 0);
    expect(passing(points, off).reduce((a, b) => a + b, 0)).toBe(27);
    expect(passing(points, toggled(off, "source", 0)).every((one) => one === 1)).toBe(true);
    const alone = only(NO_FILTER, "label", 0, 2);
    expect([...passing(points, alone)].map((one, row) => (one ? row : -1)).filter((row) => row >= 0)).toEqual([0, 1, 2]);
    expect(passing(points, only(alone, "label", 0, 2)).every((one) => one === 1)).toBe(true);
    const high = ranged(NO_FILTER, "total", [5, Infinity]);
    expect(passing(points, high).reduce((a, b) => a + b, 0)).toBe(4);
  });

  it("move from where they were; new ones stand where they will be", () => {
    const from = startsOf(["p-2", "gone"], Float32Array.of(7, 8, 0, 0), points.ids, points.positions);
    expect(from.slice(4, 6)).toEqual(Float32Array.of(7, 8));
    expect(from.slice(2, 4)).toEqual(points.positions.slice(2, 4));
    expect(between(from, points.positions, 0)).toEqual(from);
    expect(between(from, points.positions, 1)).toEqual(points.positions);
    expect(between(from, points.positions, 0.5)[4]).toBeCloseTo((7 + points.positions[4]!) / 2, 5);
  });
});

describe("what a version changed", () => {
  it("is every answer that either gives", () => {
    const points = map();
    const before = summaryOf(points);
    expect(before.answers.get(UNNAMED)).toBe(13);
    const after = { version: "v2", answers: new globalThis.Map([["a", 30], ["new", 12]]) };
    expect(changed(before, after)).toContainEqual({ answer: "new", before: 0, after: 12 });
    expect(changed(before, after)).toContainEqual({ answer: UNNAMED, before: 13, after: 0 });
  });
});
