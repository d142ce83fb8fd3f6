import { signal } from "@preact/signals";
import { explain, Problem } from "../api/problem";

export interface Notice {
  number: number;
  text: string;
  kind: "good" | "bad";
}

const SHOWN_MILLISECONDS = 8000;

export const notices = signal<Notice[]>([]);
let last = 0;

export function notify(text: string, kind: Notice["kind"] = "good"): void {
  const notice = { number: ++last, text, kind };
  notices.value = [...notices.value.slice(-2), notice];
  setTimeout(() => dismiss(notice.number), SHOWN_MILLISECONDS);
}

export function dismiss(number: number): void {
  notices.value = notices.value.filter((notice) => notice.number !== number);
}

/** Runs what a person asked for; what goes wrong is said. */
export async function attempt(work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    // Where a key is asked for, the dialog says so.
    if (!(error instanceof Problem && error.status === 401)) notify(explain(error), "bad");
  }
}
