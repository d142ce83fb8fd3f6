import type { FeedbackStatus } from "../api/shapes";

/** One act of labelling: what was labelled, and the labels that the service keeps for it. */
export interface Deed {
  number: number;
  label: string;
  pointIds: string[];
  feedbackIds: string[];
  /** `sending` until the service has said that it is durable. */
  status: "sending" | "failed" | FeedbackStatus;
  reason: string | null;
}

/** The deeds, newest first, with one put in or changed. */
export function withDeed(history: readonly Deed[], deed: Deed): Deed[] {
  const without = history.filter((one) => one.number !== deed.number);
  return [deed, ...without].sort((a, b) => b.number - a.number);
}

/** The newest deed that can be taken back. */
export function undoable(history: readonly Deed[]): Deed | null {
  return history.find((deed) => deed.status === "queued" || deed.status === "applied") ?? null;
}

/** Labels that were given and are not yet learned, by point: the newest counts. */
export function pendingLabels(history: readonly Deed[]): Map<string, string> {
  const pending = new Map<string, string>();
  for (const deed of [...history].reverse()) {
    if (!["sending", "queued", "claimed"].includes(deed.status)) continue;
    for (const id of deed.pointIds) pending.set(id, deed.label);
  }
  return pending;
}

/** Points that were labelled, and whose label was not taken back or refused. */
export function spokenFor(history: readonly Deed[]): Set<string> {
  const standing = history.filter((deed) => !["failed", "withdrawing", "withdrawn", "rejected"].includes(deed.status));
  return new Set(standing.flatMap((deed) => deed.pointIds));
}

/** How many labels wait to be learned. */
export function waiting(history: readonly Deed[]): number {
  return history.reduce((sum, deed) => sum + (deed.status === "queued" ? deed.feedbackIds.length : 0), 0);
}
