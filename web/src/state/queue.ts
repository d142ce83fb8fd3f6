import { signal } from "@preact/signals";
import { getJson } from "../api/request";
import type { Candidate, Candidates } from "../api/shapes";
import { labelPoints } from "./labelling";
import { attempt } from "./notices";

export const STRATEGIES: Record<string, string> = {
  representatives: "typical of groups without labels",
  entropy: "most uncertain",
  margin: "between two labels",
  epistemic: "most to learn from",
  disagreement: "channels disagree",
  ood: "strangest",
  diverse: "uncertain and unlike each other",
};

const COUNT = 20;

export const strategy = signal("representatives");
export const queue = signal<Candidate[]>([]);
export const asking = signal(false);
export const asked = signal(false);

export function fill(): Promise<void> {
  return attempt(async () => {
    asking.value = true;
    try {
      const query = new URLSearchParams({ strategy: strategy.value, count: String(COUNT), include: "input" });
      queue.value = (await getJson<Candidates>(`candidates?${query}`)).candidates;
      asked.value = true;
    } finally {
      asking.value = false;
    }
  });
}

/** Labels the first of the queue; it stays where the label could not be stored. */
export async function labelFirst(label: string): Promise<void> {
  const first = queue.value[0];
  if (!first) return;
  queue.value = queue.value.slice(1);
  if (!(await labelPoints([first.prediction_id], label))) queue.value = [first, ...queue.value];
  if (!queue.value.length) await fill();
}

/** The first of the queue becomes its last. */
export function skip(): void {
  const [first, ...rest] = queue.value;
  if (first) queue.value = [...rest, first];
}
