import { beforeEach, describe, expect, it, vi } from "vitest";
import { history } from "../src/state/labelling";
import { fill, labelFirst, queue, queueState, queueTrouble, skip, strategy } from "../src/state/queue";

type Reply = (path: string) => Promise<Response>;

let reply: Reply;

function candidates(...ids: string[]): Response {
  return Response.json({ candidates: ids.map((id) => ({ prediction_id: id })) });
}

const shown = (): string[] => queue.value.map((one) => one.prediction_id);

beforeEach(async () => {
  history.value = [];
  vi.stubGlobal("fetch", (path: string) => reply(path));
  reply = async () => candidates("a-0", "b-0", "c-0");
  await fill();
});

describe("the queue of what is worth a label", () => {
  it("is of the strategy that was asked for last, whichever answer comes last", async () => {
    let answerFirst = (_: Response): void => {};
    reply = (path) => path.includes("entropy")
      ? new Promise((resolve) => { answerFirst = resolve; })
      : Promise.resolve(candidates("m-0"));
    strategy.value = "entropy";
    const slow = fill();
    strategy.value = "margin";
    await fill();
    answerFirst(candidates("e-0"));
    await slow;
    expect(shown()).toEqual(["m-0"]);
    expect(queueState.value).toBe("filled");
  });

  it("says that there was no answer, and not that nothing is worth a label", async () => {
    reply = async () => Response.json({ detail: "too many requests wait" }, { status: 503 });
    await fill();
    expect(queueState.value).toBe("failed");
    expect(queueTrouble.value).toBe("too many requests wait");
    reply = async () => candidates("a-0");
    await fill();
    expect(queueState.value).toBe("filled");
    expect(queueTrouble.value).toBeNull();
  });

  it("moves the first to its end", () => {
    skip();
    expect(shown()).toEqual(["b-0", "c-0", "a-0"]);
  });

  it("goes on at once when the first is labelled, and takes it back where that failed", async () => {
    let refuse = (): void => {};
    const until = new Promise<void>((resolve) => { refuse = resolve; });
    reply = async () => {
      await until;
      return Response.json({ detail: "no room" }, { status: 507 });
    };
    const labelling = labelFirst("9");
    expect(shown()).toEqual(["b-0", "c-0"]);
    refuse();
    await labelling;
    expect(shown()).toEqual(["a-0", "b-0", "c-0"]);
  });

  it("leaves out what was labelled while it was asked for", async () => {
    reply = async (path) => path === "feedback"
      ? Response.json({ items: [{ feedback_id: "f", status: "queued" }] }, { status: 202 })
      : candidates("b-0", "a-0");
    await Promise.all([labelFirst("9"), fill()]);
    expect(shown()).toEqual(["b-0"]);
  });
});
