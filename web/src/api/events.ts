import { key } from "./key";
import { request } from "./request";

/** One server-sent event. */
export interface ServerEvent {
  name: string;
  data: string;
}

/** Splits a stream of text into events, by the rules of the HTML standard that the service uses. */
export class EventParser {
  private rest = "";
  private name = "";
  private lines: string[] = [];
  /** Of the newest event that had one; what a reader that comes back has seen. */
  lastId = "";

  push(text: string): ServerEvent[] {
    const found: ServerEvent[] = [];
    const lines = (this.rest + text).split(/\r\n|\n|\r(?!$)/);
    this.rest = lines.pop() ?? "";
    for (const line of lines) {
      if (line === "") {
        if (this.lines.length) found.push({ name: this.name || "message", data: this.lines.join("\n") });
        this.name = "";
        this.lines = [];
        continue;
      }
      if (line.startsWith(":")) continue;
      const colon = line.indexOf(":");
      const field = colon < 0 ? line : line.slice(0, colon);
      const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
      if (field === "event") this.name = value;
      if (field === "data") this.lines.push(value);
      if (field === "id") this.lastId = value;
    }
    return found;
  }
}

/** Follows `/events` until `signal` aborts; comes back when the stream ends, with a growing pause after a fault.
 *
 * Read with fetch: an EventSource cannot send the header that carries the key.
 */
export async function follow(
  onEvent: (event: ServerEvent) => void,
  onState: (connected: boolean) => void,
  signal: AbortSignal,
): Promise<void> {
  let pause = SOON;
  let lastId = "";
  while (!signal.aborted) {
    const headers = { Accept: "text/event-stream", ...(lastId && { "Last-Event-ID": lastId }) };
    const parser = new EventParser();
    parser.lastId = lastId;
    try {
      const response = await request("events", { signal, headers });
      onState(true);
      pause = SOON;
      const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
      for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        parser.push(value).forEach(onEvent);
      }
    } catch {
      if (signal.aborted) return;
      onState(false);
      pause = Math.min(pause * 2, 15_000);
    }
    lastId = parser.lastId;
    await rest(pause, signal);
  }
}

const SOON = 1000;

/** Waits; another key, or the end, is no reason to wait any longer. */
function rest(milliseconds: number, signal: AbortSignal): Promise<void> {
  const before = key.value;
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      stop();
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, milliseconds);
    const stop = key.subscribe((now) => { if (now !== before) queueMicrotask(done); });
    signal.addEventListener("abort", done);
  });
}
