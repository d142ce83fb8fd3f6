import { computed, signal } from "@preact/signals";
import { feedbackState, postFeedback, withdraw } from "../api/feedback";
import { explain } from "../api/problem";
import type { FeedbackItem } from "../api/shapes";
import {
  type Deed, pendingLabels, spokenFor as pointsSpokenFor, undoable, waiting, withDeed,
} from "../data/history";
import { labelName } from "../data/keys";
import { refusalOfName } from "./access";
import { notify } from "./notices";
import { bundle, labelNames, newNames } from "./service";

/** What was labelled on this page, newest first. */
export const history = signal<Deed[]>([]);
export const pending = computed(() => pendingLabels(history.value));
export const spokenFor = computed(() => pointsSpokenFor(history.value));
export const waitingLabels = computed(() => waiting(history.value));

/** Labels that are taken back side by side. */
const AT_ONCE = 8;
let last = 0;

/** What /feedback calls a point of the map: its reference point or its prediction. */
async function itemOf(pointId: string, label: string): Promise<FeedbackItem> {
  if (/^r-\d+$/.test(pointId)) return { reference_id: pointId, label };
  // A prediction's id has a dash, a feedback's has none; that one knows which prediction it is about.
  if (pointId.includes("-")) return { prediction_id: pointId, label };
  const { prediction_id } = await feedbackState(pointId);
  if (prediction_id === null) throw new Error("one of these was labelled without a prediction: label it where it came from");
  return { prediction_id, label };
}

/** Labels points by their ids; says what happened. Resolves to whether the label is durable. */
export async function labelPoints(pointIds: string[], text: string): Promise<boolean> {
  const { name, fault } = labelName(text);
  const refused = fault ?? refusalOfName(!isKnown(name));
  if (refused) {
    notify(refused, "bad");
    return false;
  }
  if (!pointIds.length) return false;
  return carryOut(name, pointIds, () => Promise.all(pointIds.map((id) => itemOf(id, name))));
}

/** Labels an input that is on no map. */
export function labelInput(item: FeedbackItem): Promise<boolean> {
  return carryOut(item.label, [], async () => [item]);
}

async function carryOut(label: string, pointIds: string[], items: () => Promise<FeedbackItem[]>): Promise<boolean> {
  let deed: Deed = { number: ++last, label, pointIds, feedbackIds: [], status: "sending", reason: null };
  history.value = withDeed(history.value, deed);
  try {
    const feedbackIds = await postFeedback(await items());
    deed = { ...deed, feedbackIds, status: "queued" };
    remember(label);
    return true;
  } catch (error) {
    deed = { ...deed, status: "failed", reason: explain(error) };
    notify(`Not stored: ${deed.reason}`, "bad");
    return false;
  } finally {
    history.value = withDeed(history.value, deed);
  }
}

/** Takes the newest labels back; while that is under way, the next newest come next. */
export async function undo(deed: Deed | null = undoable(history.value)): Promise<void> {
  if (!deed) return;
  history.value = withDeed(history.value, { ...deed, status: "withdrawing" });
  try {
    for (let start = 0; start < deed.feedbackIds.length; start += AT_ONCE) {
      await Promise.all(deed.feedbackIds.slice(start, start + AT_ONCE).map(withdraw));
    }
    const state = await feedbackState(deed.feedbackIds[0]!);
    history.value = withDeed(history.value, { ...deed, status: state.status, reason: state.reason });
    notify(`Taken back: ${deed.feedbackIds.length} × ${deed.label}`);
  } catch (error) {
    history.value = withDeed(history.value, deed);
    throw error;
  }
}

/** Asks where the labels of this page stand now. */
export async function refreshHistory(): Promise<void> {
  const open = history.value.filter((deed) => ["queued", "claimed", "withdrawing"].includes(deed.status));
  for (const deed of open) {
    const state = await feedbackState(deed.feedbackIds[0]!);
    if (state.status !== deed.status) {
      history.value = withDeed(history.value, { ...deed, status: state.status, reason: state.reason });
    }
  }
}

function remember(label: string): void {
  if (!labelNames.value.includes(label)) newNames.value = [...newNames.value, label];
}

function isKnown(label: string): boolean {
  return bundle.value?.labels.includes(label) ?? false;
}
