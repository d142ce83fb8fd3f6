import { describe, expect, it } from "vitest";
import { type Deed, pendingLabels, spokenFor, undoable, waiting, withDeed } from "../src/data/history";

function deed(number: number, status: Deed["status"], label = "9"): Deed {
  return { number, label, pointIds: [`p${number}`, "shared"], feedbackIds: [`f${number}`], status, reason: null };
}

describe("what was labelled", () => {
  it("stands newest first, and a change keeps its place", () => {
    const history = [deed(1, "queued"), deed(2, "sending"), deed(3, "queued")].reduce<Deed[]>(withDeed, []);
    expect(withDeed(history, deed(2, "queued")).map((one) => one.number)).toEqual([3, 2, 1]);
    expect(withDeed(history, deed(2, "queued"))[1]!.status).toBe("queued");
  });

  it("is taken back from the newest on, past what cannot be", () => {
    expect(undoable([deed(3, "failed"), deed(2, "withdrawn"), deed(1, "queued")])!.number).toBe(1);
    expect(undoable([deed(3, "sending")])).toBeNull();
  });

  it("shows the newest label of a point that is not learned yet", () => {
    const pending = pendingLabels([deed(3, "queued", "4"), deed(2, "withdrawn", "5"), deed(1, "queued", "6")]);
    expect(pending.get("shared")).toBe("4");
    expect(pending.get("p1")).toBe("6");
    expect(pending.has("p2")).toBe(false);
  });

  it("speaks for its points until it is taken back", () => {
    const points = spokenFor([deed(4, "applied"), deed(3, "withdrawn"), deed(2, "failed"), deed(1, "quarantined")]);
    expect(points).toEqual(new Set(["p4", "p1", "shared"]));
  });

  it("waits until it is learned", () => {
    expect(waiting([deed(2, "queued"), deed(1, "applied")])).toBe(1);
  });
});
