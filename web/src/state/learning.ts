import { computed, signal } from "@preact/signals";
import { Problem } from "../api/problem";
import { getJson, postJson } from "../api/request";
import { versionName } from "../parts/format";
import { attempt, notify } from "./notices";

/** One retraining; more members than these are shown nowhere. */
export interface Job {
  job_id: string;
  method: string;
  state: string;
  requested: string | null;
  started: string | null;
  finished: string | null;
  progress: number | null;
  message: string | null;
  version: string | null;
  gate?: unknown;
  counts?: Record<string, number> | null;
}

export interface Retrain {
  state: "idle" | "requested" | "running";
  job: Job | null;
  history: Job[];
}

export interface Version {
  bundle_version: string;
  parent_version: string | null;
  created: string;
  method: string;
  labels: string[];
  metrics: Record<string, number>;
  gate?: unknown;
  feedback: number;
  state: "current" | "retired" | "held" | "rejected";
}

export const retrain = signal<Retrain | null>(null);
export const versions = signal<{ current: string; versions: Version[] } | null>(null);
export const learning = computed(() => (retrain.value?.state ?? "idle") !== "idle");
/** The jobs that wait or run, oldest first. */
export const openJobs = computed(() => openOf(retrain.value));
/** Whether labels are being counted, or will be: there is nothing to ask for. A refit goes on beside that. */
export const counting = computed(() => openJobs.value.some((job) => job.method !== "refit"));
export const refitting = computed(() => openJobs.value.some((job) => job.method === "refit"));
/** The job that this page asked for and whose end it has not told yet. */
let askedJob: string | null = null;

export function openOf(answer: Retrain | null): Job[] {
  return (answer?.history ?? []).filter((job) => ["requested", "running"].includes(job.state)).reverse();
}

export async function askRetrain(): Promise<void> {
  try {
    retrain.value = await getJson<Retrain>("retrain");
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
  }
}

export async function askVersions(): Promise<void> {
  try {
    versions.value = await getJson("versions");
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
  }
}

export function learn(method: "auto" | "relabel" | "refit"): Promise<void> {
  return attempt(async () => {
    askedJob = (await postJson<{ job_id: string }>("retrain", { method })).job_id;
    await askRetrain();
  });
}

/** Says why the job that was asked for made no version, once it has ended. */
export function tellEnd(): void {
  const job = retrain.value?.history.find((one) => one.job_id === askedJob);
  if (!job || job.finished === null) return;
  askedJob = null;
  if (job.version === null && job.message) notify(sentence(job.message), job.state === "failed" ? "bad" : undefined);
}

/** What a job says of itself, with versions as the page writes them. */
export function sentence(message: string): string {
  const text = message.replaceAll(/\d{8}T\d{6}Z-\w+/g, versionName);
  return text.charAt(0).toUpperCase() + text.slice(1);
}

export function rollBack(version: string | null): Promise<void> {
  return attempt(async () => {
    await postJson("bundle/rollback", version === null ? {} : { version });
    notify(version === null ? "Rolled back to the version before." : `Rolled back to ${versionName(version)}.`);
    await askVersions();
  });
}

export function promote(version: string): Promise<void> {
  return attempt(async () => {
    await postJson("bundle/promote", { version });
    notify(`Promoted ${versionName(version)}.`);
    await askVersions();
  });
}
