import { versionName } from "../parts/format";
import { askAccess, refusal } from "./access";
import { askChannels, channels } from "./channels";
import { history, refreshHistory } from "./labelling";
import { askRetrain, askVersions, learning, tellEnd } from "./learning";
import { askToDecide } from "./lists";
import { askDrift, followEvents } from "./live";
import { loadMap, points } from "./map";
import { attempt, notify } from "./notices";
import { askBundle, bundle, trouble } from "./service";
import { fill, queue, queueState } from "./queue";

/** When the service is asked again: at events where they come, and by the clock in any case. */
const LEARNING_MILLISECONDS = 700;
const IDLE_MILLISECONDS = 5000;
/** Predictions that stream in load the map again, but at most so often. */
const MAP_MILLISECONDS = 3000;

/** Asks for everything, and goes on asking until the page ends. */
export function begin(end: AbortSignal): void {
  void refresh();
  let mapIsStale = false;
  followEvents({
    onPrediction: () => { mapIsStale = true; },
    onBundle: () => void attempt(look),
    onRetrain: () => void attempt(askRetrain),
  }, end);
  const slow = setInterval(() => {
    if (!mapIsStale || document.hidden) return;
    mapIsStale = false;
    void loadMap();
    // Nothing was worth a label; now there may be something.
    if (queueState.value === "filled" && !queue.value.length) void fill();
  }, MAP_MILLISECONDS);
  let timer = 0;
  const beat = async (): Promise<void> => {
    if (!document.hidden) await attempt(look);
    if (trouble.value === null) askForWhatFailed();
    if (!end.aborted) timer = window.setTimeout(beat, learning.value ? LEARNING_MILLISECONDS : IDLE_MILLISECONDS);
  };
  timer = window.setTimeout(beat, IDLE_MILLISECONDS);
  end.addEventListener("abort", () => { clearInterval(slow); clearTimeout(timer); });
  // Learning that has just begun is looked at soon.
  const stop = learning.subscribe((runs) => {
    if (!runs) return;
    clearTimeout(timer);
    timer = window.setTimeout(beat, LEARNING_MILLISECONDS);
  });
  end.addEventListener("abort", stop);
}

export async function refresh(): Promise<void> {
  await Promise.all([askBundle(), askAccess()]);
  await Promise.all([loadMap(), attempt(askChannels), attempt(askRetrain), decideLater()]);
}

/** What got no answer for a passing reason, such as too much load, is asked for again once the service answers. */
function askForWhatFailed(): void {
  if (!points.value) void loadMap();
  if (!channels.value) void attempt(askChannels);
  if (queueState.value === "failed") void fill();
}

/** Asks for everything that another key may see or do. */
export async function refreshForKey(): Promise<void> {
  await refresh();
  await Promise.all([fill(), attempt(askVersions), attempt(askDrift)]);
}

/** What waits for a person; a key that may not see it is told so where it is listed. */
async function decideLater(): Promise<void> {
  if (refusal("predict") === null) await attempt(askToDecide);
}

/** What is served, and where the labels stand; another version changes the map. */
async function look(): Promise<void> {
  const before = bundle.value;
  const wasLearning = learning.value;
  const [changed] = await Promise.all([askBundle(), wasLearning ? askRetrain() : undefined]);
  if (changed && bundle.value) {
    const gained = bundle.value.labels.filter((label) => !before?.labels.includes(label));
    notify(gained.length ? `Learned: ${gained.join(", ")}` : `Now serving ${versionName(bundle.value.bundle_version)}`);
    await Promise.all([loadMap(), attempt(askChannels), askRetrain(), attempt(askVersions)]);
    if (queueState.value !== "unasked") void fill();
  }
  tellEnd();
  if (changed || (wasLearning && !learning.value)) void decideLater();
  if (history.value.length && (changed || (wasLearning && !learning.value))) await attempt(refreshHistory);
}
