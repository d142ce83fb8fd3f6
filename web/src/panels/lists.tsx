import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { listFeedback, withdraw } from "../api/feedback";
import type { FeedbackState } from "../api/shapes";
import { ago } from "../parts/format";
import { Thumbnail } from "../parts/picture";
import { attempt, notify } from "../state/notices";
import { isImage } from "../state/service";

const LISTS: { status: string; name: string; empty: string }[] = [
  { status: "quarantined", name: "Held back", empty: "Nothing is held back." },
  { status: "queued", name: "Waiting", empty: "No label waits." },
  { status: "superseded", name: "In conflict", empty: "No label was replaced by another." },
  { status: "applied", name: "Learned", empty: "Nothing was learned from feedback yet." },
  { status: "rejected", name: "Refused", empty: "Nothing was refused." },
  { status: "withdrawn", name: "Taken back", empty: "Nothing was taken back." },
];

/** The feedback that the service keeps, by where it stands. */
export function ListsPanel() {
  const status = useSignal("quarantined");
  const items = useSignal<FeedbackState[]>([]);
  const next = useSignal<string | null>(null);
  const load = (cursor: string | null): Promise<void> => attempt(async () => {
    const page = await listFeedback(status.value, cursor);
    items.value = cursor ? [...items.value, ...page.items] : page.items;
    next.value = page.next;
  });
  useEffect(() => { void load(null); }, [status.value]);
  const take = (one: FeedbackState): Promise<void> => attempt(async () => {
    await withdraw(one.feedback_id);
    notify(`Taken back: ${one.label}`);
    await load(null);
  });
  const list = LISTS.find((one) => one.status === status.value)!;
  return (
    <div class="panel-body">
      <section aria-label="Feedback">
        <h2>Feedback</h2>
        <div class="chips" role="group" aria-label="Which feedback">
          {LISTS.map((one) => (
            <button key={one.status} type="button" aria-pressed={one.status === status.value} onClick={() => { status.value = one.status; }}>
              {one.name}
            </button>
          ))}
        </div>
        {!items.value.length && <p class="hint">{list.empty}</p>}
        <ol class="feedback">
          {items.value.map((one) => (
            <li key={one.feedback_id}>
              {isImage.value && <Thumbnail id={one.feedback_id} size={32} />}
              <div>
                <b>{one.label}</b>{one.author ? ` by ${one.author}` : ""}, {ago(Date.parse(one.created))}
                {one.reason && <div class="hint">{one.reason}</div>}
              </div>
              {["queued", "applied", "quarantined"].includes(one.status) && (
                <button type="button" class="link" onClick={() => void take(one)}>Take back</button>
              )}
            </li>
          ))}
        </ol>
        {next.value && <button type="button" onClick={() => void load(next.value)}>More</button>}
      </section>
    </div>
  );
}
