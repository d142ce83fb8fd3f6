import { beforeEach, describe, expect, it, vi } from "vitest";
import { CHUNK, idempotencyKey, postFeedback } from "../src/api/feedback";
import { setKey } from "../src/api/key";

interface Sent { key: string | null; authorization: string | null; items: { label: string }[] }

const sent: Sent[] = [];
let replies: (() => Response)[] = [];

function stored(): Response {
  const { items } = sent.at(-1)!;
  return Response.json({ items: items.map((_, i) => ({ feedback_id: `${sent.length}-${i}`, status: "queued" })) }, { status: 202 });
}

beforeEach(() => {
  setKey(" secret ");
  sent.length = 0;
  replies = [];
  vi.stubGlobal("fetch", async (_: string, init: RequestInit) => {
    const headers = new Headers(init.headers);
    const { items } = JSON.parse(String(init.body)) as { items: Sent["items"] };
    sent.push({ key: headers.get("Idempotency-Key"), authorization: headers.get("Authorization"), items });
    return (replies.shift() ?? stored)();
  });
});

const noPause = async (): Promise<void> => {};

describe("posting labels", () => {
  it("sends the key of the service and a key of the request", async () => {
    await postFeedback([{ prediction_id: "a-0", label: "9" }], noPause);
    expect(sent[0]!.authorization).toBe("Bearer secret");
    expect(sent[0]!.key).toMatch(/^[0-9a-f]{32}$/);
  });

  it("repeats with the same key what got no answer, and what the service could not do now", async () => {
    replies = [
      () => { throw new TypeError("cut"); },
      () => Response.json({ detail: "later" }, { status: 503 }),
    ];
    const ids = await postFeedback([{ prediction_id: "a-0", label: "9" }], noPause);
    expect(ids).toEqual(["3-0"]);
    expect(new Set(sent.map((one) => one.key)).size).toBe(1);
  });

  it("does not repeat what was refused", async () => {
    replies = [() => Response.json({ detail: "items[0].label: too long" }, { status: 422 })];
    await expect(postFeedback([{ prediction_id: "a-0", label: "9" }], noPause)).rejects.toThrow("too long");
    expect(sent).toHaveLength(1);
  });

  it("gives up at last", async () => {
    replies = Array.from({ length: 9 }, () => () => { throw new TypeError("cut"); });
    await expect(postFeedback([{ prediction_id: "a-0", label: "9" }], noPause)).rejects.toThrow("cut");
    expect(sent).toHaveLength(4);
  });

  it("sends many in pieces, each with a key of its own, and keeps their order", async () => {
    const items = Array.from({ length: CHUNK + 5 }, (_, i) => ({ prediction_id: `p-${i}`, label: "9" }));
    const ids = await postFeedback(items, noPause);
    expect(sent.map((one) => one.items.length)).toEqual([CHUNK, 5]);
    expect(new Set(sent.map((one) => one.key)).size).toBe(2);
    expect(ids).toHaveLength(CHUNK + 5);
    expect(ids.at(-1)).toBe("2-4");
  });

  it("never draws a key twice", () => {
    expect(new Set(Array.from({ length: 200 }, idempotencyKey)).size).toBe(200);
  });
});
