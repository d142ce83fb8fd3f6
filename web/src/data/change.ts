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

/** Every answer that either version gives, in the order of the later one. */
export function changed(before: Summary, after: Summary): ChangedAnswer[] {
  const names = [...new Set([...after.answers.keys(), ...before.answers.keys()])];
  return names
    .map((answer) => ({ answer, before: before.answers.get(answer) ?? 0, after: after.answers.get(answer) ?? 0 }))
    .filter((one) => one.before + one.after > 0);
}
