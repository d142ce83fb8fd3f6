import { signal } from "@preact/signals";
import { follow, type ServerEvent } from "../api/events";
import { getJson } from "../api/request";
import type { Decision } from "../api/shapes";

/** One answer as it was streamed. */
export interface Recent {
  prediction_id: string;
  label: string;
  decision: Decision;
  position: [number, number] | null;
  at: number;
}

type PredictionEvent = Omit<Recent, "at"> & { created: string };

export interface Drift {
  questions: {
    question: "familiar" | "owned";
    drifting: boolean;
    evidence: number;
    alarms: number;
    inputs: number;
  }[];
}

/** A moment of the traffic: share out of distribution, share of unknown classes, evidence of drift. */
export interface Moment {
  at: number;
  strange: number | null;
  unnamed: number | null;
  familiarDrift: number | null;
  ownedDrift: number | null;
}

const RECENT = 60;
const WINDOW = 200;
const MOMENTS = 600;

export const connected = signal(false);
export const recent = signal<Recent[]>([]);
export const moments = signal<Moment[]>([]);
export const drift = signal<Drift | null>(null);
let decisions: Decision[] = [];

/** What other rooms of the page do when something happens. */
export interface Listeners {
  onPrediction: () => void;
  onBundle: () => void;
  onRetrain: () => void;
}

export function followEvents(listeners: Listeners, signalOfEnd: AbortSignal): void {
  void follow(
    (event) => take(event, listeners),
    (state) => { connected.value = state; },
    signalOfEnd,
  );
}

function take(event: ServerEvent, listeners: Listeners): void {
  if (event.name === "prediction") {
    takePrediction(JSON.parse(event.data) as PredictionEvent);
    listeners.onPrediction();
  }
  if (event.name === "bundle") listeners.onBundle();
  if (event.name === "retrain") listeners.onRetrain();
  if (event.name === "drift") takeDrift(JSON.parse(event.data) as Drift);
}

function takePrediction({ created, ...one }: PredictionEvent): void {
  if (recent.value.some((known) => known.prediction_id === one.prediction_id)) return;
  recent.value = [{ ...one, at: Date.parse(created) }, ...recent.value].slice(0, RECENT);
  decisions = [...decisions, one.decision].slice(-WINDOW);
  note();
}

function takeDrift(answer: Drift): void {
  drift.value = answer;
  note();
}

export async function askDrift(): Promise<void> {
  takeDrift(await getJson<Drift>("drift"));
}

function note(): void {
  const share = (decision: Decision): number | null =>
    decisions.length ? decisions.filter((one) => one === decision).length / decisions.length : null;
  const evidence = (question: string): number | null =>
    drift.value?.questions.find((one) => one.question === question)?.evidence ?? null;
  const moment = {
    at: Date.now() / 1000,
    strange: share("out_of_distribution"),
    unnamed: share("unknown_class"),
    familiarDrift: evidence("familiar"),
    ownedDrift: evidence("owned"),
  };
  const before = moments.value;
  // At most one a second, the newest state of that second.
  const kept = before.length && moment.at - before.at(-1)!.at < 1 ? before.slice(0, -1) : before;
  moments.value = [...kept, moment].slice(-MOMENTS);
}
