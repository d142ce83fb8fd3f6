import { signal } from "@preact/signals";
import { Problem } from "../api/problem";
import { getJson } from "../api/request";
import type { Channel, Channels } from "../api/shapes";

export const channels = signal<Channels | null>(null);

export async function askChannels(): Promise<void> {
  try {
    channels.value = await getJson<Channels>("channels");
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
  }
}

/** The channels that inputs fall into: those that nobody has named first, and the fullest first. */
export function used(all: readonly Channel[]): Channel[] {
  return all
    .filter((one) => one.usage > 0)
    .sort((a, b) => Number(b.free) - Number(a.free) || b.usage - a.usage);
}
