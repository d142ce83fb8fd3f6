import { countCodes } from "./category";
import type { Points } from "./points";

/** How many points of a map have each answer; another version judges the same points anew. */
export interface Summary {
  version: string;
  answers: ReadonlyMap<string, number>;
}

export interface ChangedAnswer {
  answer: string;
  before: number;
  after: number;
}

export function summaryOf(points: Points): Summary {
  const { names } = points.categories.answer;
  const counts = countCodes(points.categories.answer);
  return { version: points.version, answers: new Map(names.map((name, code) => [name, counts[code]!])) };
}

/** Versions that are remembered; a page may stay open for weeks. */
const KEPT = 20;

/** What was served one after the other, oldest first, with the newest map put in. */
export function withServed(served: readonly Summary[], fresh: Summary): Summary[] {
  const before = served.at(-1)?.version === fresh.version ? served.slice(0, -1) : served;
  return [...before, fresh].slice(-KEPT);
}

/** What the newest is compared with, or null where nothing else was seen.
 *
 * The first that the page saw: labels may be learned in several steps, by a watcher that was not asked. After a way
 * back to a version seen before, it is the one that was left.
 */
export function baseline(served: readonly Summary[]): Summary | null {
  const current = served.at(-1);
  const before = served.slice(0, -1);
  if (!current || !before.length) return null;
  return before.some((one) => one.version === current.version) ? before.at(-1)! : before[0]!;
}

/** Every answer that either version gives, in the order of the later one. */
export function changed(before: Summary, after: Summary): ChangedAnswer[] {
  const names = [...new Set([...after.answers.keys(), ...before.answers.keys()])];
  return names
    .map((answer) => ({ answer, before: before.answers.get(answer) ?? 0, after: after.answers.get(answer) ?? 0 }))
    .filter((one) => one.before + one.after > 0);
}
