import { describe, expect, it } from "vitest";
import { EventParser } from "../src/api/events";

const STREAM = ": hello\n\nevent: prediction\ndata: {\"a\":1}\n\nid: 4\ndata: one\ndata: two\n\nevent: bundle\n\n";
const EXPECTED = [{ name: "prediction", data: '{"a":1}' }, { name: "message", data: "one\ntwo" }];

describe("server-sent events", () => {
  it("come out of one piece", () => {
    expect(new EventParser().push(STREAM)).toEqual(EXPECTED);
  });

  it.each([1, 2, 3, 7])("come out of pieces of %i characters", (length) => {
    const parser = new EventParser();
    const pieces = STREAM.match(new RegExp(`[^]{1,${length}}`, "g"))!;
    expect(pieces.flatMap((piece) => parser.push(piece))).toEqual(EXPECTED);
  });

  it("say what was seen last", () => {
    const parser = new EventParser();
    parser.push(STREAM);
    expect(parser.lastId).toBe("4");
  });

  it("may end their lines with CR LF", () => {
    const parser = new EventParser();
    expect([...STREAM.replaceAll("\n", "\r\n")].flatMap((one) => parser.push(one))).toEqual(EXPECTED);
  });
});
