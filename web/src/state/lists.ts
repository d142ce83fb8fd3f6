import { computed, signal } from "@preact/signals";
import { accept, listDisputes, listFeedback, withdraw } from "../api/feedback";
import type { Dispute, FeedbackState } from "../api/shapes";
import { refreshHistory } from "./labelling";
import { counted } from "../parts/format";
import { attempt, notify } from "./notices";

/** A list of what the service keeps: feedback by where it stands, or the inputs that people disagree about. */
export type ListName = "quarantined" | "disputes" | "queued" | "superseded" | "applied" | "rejected" | "withdrawn";

/** A part of a list, and the cursor of the next part. */
export interface Part<T> {
  items: T[];
  next: string | null;
}

const NOTHING: Part<never> = { items: [], next: null };

export const list = signal<ListName>("quarantined");
export const heldBack = signal<Part<FeedbackState>>(NOTHING);
export const disputes = signal<Part<Dispute>>(NOTHING);
/** Of the other lists, the one that is shown. */
export const others = signal<Part<FeedbackState>>(NOTHING);

/** How much waits for a person; "+" where there is more than was asked for. */
export const toDecide = computed(() => {
  const count = heldBack.value.items.length + disputes.value.items.length;
  const more = heldBack.value.next !== null || disputes.value.next !== null;
  return count ? `${count}${more ? "+" : ""}` : "";
});

/** What waits for a person; the first part of both lists. */
export async function askToDecide(): Promise<void> {
  const [held, disputed] = await Promise.all([listFeedback("quarantined"), listDisputes()]);
  heldBack.value = held;
  disputes.value = { items: disputed.disputes, next: disputed.next };
}

/** The list that is shown, anew. */
export function askList(): Promise<void> {
  return attempt(async () => {
    const name = list.value;
    if (name === "quarantined" || name === "disputes") return askToDecide();
    others.value = NOTHING;
    const fresh = await listFeedback(name);
    if (list.value === name) others.value = fresh;
  });
}

/** The part that comes next. */
export function askMore(): Promise<void> {
  return attempt(async () => {
    if (list.value === "disputes") {
      const part = await listDisputes(disputes.value.next);
      disputes.value = { items: [...disputes.value.items, ...part.disputes], next: part.next };
      return;
    }
    const shown = list.value === "quarantined" ? heldBack : others;
    const part = await listFeedback(list.value, shown.value.next);
    shown.value = { items: [...shown.value.items, ...part.items], next: part.next };
  });
}

export function acceptItem(one: FeedbackState): Promise<void> {
  return attempt(async () => {
    await accept(one.feedback_id);
    notify(`Accepted: ${one.label} by ${one.author}. It waits to be learned.`);
    await settle([one.feedback_id]);
  });
}

export function takeBack(one: FeedbackState): Promise<void> {
  return attempt(async () => {
    await withdraw(one.feedback_id);
    notify(`Taken back: ${one.label} by ${one.author}.`);
    await settle([one.feedback_id]);
  });
}

/** How far a decision about all held-back items that are listed has come; null where none is under way. */
export const deciding = signal<{ done: number; of: number } | null>(null);
/** Items that are decided about side by side. */
const AT_ONCE = 8;

/** Accepts or takes back everything that is listed as held back; stops at the first refusal. */
export function decideAll(how: "accept" | "withdraw"): Promise<void> {
  const items = heldBack.value.items;
  const decide = how === "accept" ? accept : withdraw;
  return attempt(async () => {
    const decided: string[] = [];
    try {
      for (let start = 0; start < items.length; start += AT_ONCE) {
        deciding.value = { done: start, of: items.length };
        const part = items.slice(start, start + AT_ONCE).map((one) => one.feedback_id);
        const ends = await Promise.allSettled(part.map(decide));
        decided.push(...part.filter((_, i) => ends[i]!.status === "fulfilled"));
        const refused = ends.find((end) => end.status === "rejected");
        if (refused) throw refused.reason;
      }
      notify(`${how === "accept" ? "Accepted" : "Taken back"}: ${counted(items.length, "label")}.`);
    } finally {
      deciding.value = null;
      await settle(decided);
    }
  });
}

/** The lists without what was decided; the parts that were asked for besides stay where they are. */
async function settle(feedbackIds: string[]): Promise<void> {
  const gone = new Set(feedbackIds);
  const rest = heldBack.value.items.filter((one) => !gone.has(one.feedback_id));
  const isHeldBack = rest.length < heldBack.value.items.length;
  heldBack.value = { ...heldBack.value, items: rest };
  // Of a dispute what is left may prevail now, or be one no more.
  if (!isHeldBack || !rest.length) await askList();
  await refreshHistory();
}
