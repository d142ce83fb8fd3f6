import { computed, signal } from "@preact/signals";
import { getJson } from "../api/request";
import { explain, Problem } from "../api/problem";
import type { Candidate, Candidates } from "../api/shapes";
import { labelPoints, spokenFor } from "./labelling";

export const STRATEGIES: Record<string, string> = {
  representatives: "typical of groups without labels",
  unowned: "typical of unknown classes",
  entropy: "most uncertain",
  margin: "between two labels",
  epistemic: "most to learn from",
  disagreement: "channels disagree",
  ood: "strangest",
  diverse: "uncertain and unlike each other",
};

const COUNT = 20;

export const strategy = signal("representatives");
const offered = signal<Candidate[]>([]);
/** What is worth a label and has none yet: what was labelled while the queue was asked for is left out. */
export const queue = computed(() => offered.value.filter((one) => !spokenFor.value.has(one.prediction_id)));
/** `failed`: there was no answer, and it is asked for again. */
export const queueState = signal<"unasked" | "asking" | "filled" | "failed">("unasked");
export const queueTrouble = signal<string | null>(null);
let newest = 0;

/** Asks what is worth a label; of several requests the newest one's answer counts, whichever comes last. */
export async function fill(): Promise<void> {
  const request = ++newest;
  queueState.value = "asking";
  try {
    const query = new URLSearchParams({ strategy: strategy.value, count: String(COUNT), include: "input" });
    const { candidates } = await getJson<Candidates>(`candidates?${query}`);
    if (request !== newest) return;
    offered.value = candidates;
    queueTrouble.value = null;
    queueState.value = "filled";
  } catch (error) {
    if (request !== newest) return;
    queueState.value = "failed";
    // Said where the queue stands, as it is asked again and again; a key is asked for by its dialog.
    queueTrouble.value = error instanceof Problem && error.status === 401 ? null : explain(error);
  }
}

/** Asks where nobody has asked yet. */
export function fillOnce(): void {
  if (queueState.value === "unasked") void fill();
}

/** Labels the first of the queue; it stays where the label could not be stored. */
export async function labelFirst(label: string): Promise<void> {
  const first = queue.value[0];
  if (!first) return;
  // From now on it is spoken for; where that fails, and after an undo, it stands in its place again.
  await labelPoints([first.prediction_id], label);
  if (!queue.value.length) await fill();
}

/** The first of the queue becomes its last. */
export function skip(): void {
  const first = queue.value[0];
  if (first) offered.value = [...offered.value.filter((one) => one !== first), first];
}
