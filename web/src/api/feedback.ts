import { Problem } from "./problem";
import { getJson, postJson, request } from "./request";
import type { DisputePage, FeedbackItem, FeedbackPage, FeedbackReceipt, FeedbackState } from "./shapes";

const TRIES = 4;

/** The most items of one request; the service takes RCMVAE_MAX_ROWS, 4096 without a setting. */
export const CHUNK = 1000;

/** 128 random bits; `randomUUID` is missing where the page is not served over loopback or TLS. */
export function idempotencyKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Stores labels; returns their feedback ids in the order of the items.
 *
 * A try that got no answer, or 503 or 504, is repeated with the same key, so nothing is stored twice.
 */
export async function postFeedback(
  items: FeedbackItem[],
  pause: (milliseconds: number) => Promise<void> = sleep,
): Promise<string[]> {
  const ids: string[] = [];
  for (let start = 0; start < items.length; start += CHUNK) {
    const body = { items: items.slice(start, start + CHUNK) };
    const receipt = await repeated(body, idempotencyKey(), pause);
    ids.push(...receipt.items.map((item) => item.feedback_id));
  }
  return ids;
}

async function repeated(
  body: object,
  keyOfRequest: string,
  pause: (milliseconds: number) => Promise<void>,
): Promise<FeedbackReceipt> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await postJson("feedback", body, { "Idempotency-Key": keyOfRequest });
    } catch (error) {
      if (attempt === TRIES || !mayPass(error)) throw error;
      await pause(250 * 2 ** attempt);
    }
  }
}

function mayPass(error: unknown): boolean {
  // Without an answer fetch throws a TypeError; 409 with a fresh key: the first try is still in flight.
  return error instanceof TypeError || (error instanceof Problem && [409, 503, 504].includes(error.status));
}

/** Takes one label back. */
export async function withdraw(feedbackId: string): Promise<void> {
  await request(`feedback/${encodeURIComponent(feedbackId)}`, { method: "DELETE" });
}

/** Lets a label that was held back be learned after all. */
export async function accept(feedbackId: string): Promise<void> {
  await request(`feedback/${encodeURIComponent(feedbackId)}/accept`, { method: "POST" });
}

/** Inputs that people disagree about, those spoken in last first. */
export function listDisputes(cursor: string | null = null): Promise<DisputePage> {
  const query = new URLSearchParams({ limit: "100" });
  if (cursor) query.set("cursor", cursor);
  return getJson(`disputes?${query}`);
}

export function feedbackState(feedbackId: string): Promise<FeedbackState> {
  return getJson(`feedback/${encodeURIComponent(feedbackId)}`);
}

export function listFeedback(status: string, cursor: string | null = null): Promise<FeedbackPage> {
  const query = new URLSearchParams({ limit: "100" });
  if (status) query.set("status", status);
  if (cursor) query.set("cursor", cursor);
  return getJson(`feedback?${query}`);
}

function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
