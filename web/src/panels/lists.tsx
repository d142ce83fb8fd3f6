import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { FeedbackState, Dispute } from "../api/shapes";
import { ago } from "../parts/format";
import { Thumbnail } from "../parts/picture";
import { Refused } from "../parts/refused";
import { PointValues } from "../parts/values";
import { access, refusal } from "../state/access";
import {
  acceptItem, askList, askMore, decideAll, deciding, disputes, heldBack, list, type ListName, others, takeBack,
} from "../state/lists";
import { isImage } from "../state/service";

const LISTS: { name: ListName; title: string; text: string; empty: string }[] = [
  { name: "quarantined", title: "Held back", empty: "Nothing is held back.",
    text: "These labels are not learned until somebody accepts them." },
  { name: "disputes", title: "In conflict", empty: "Nobody disagrees about an input.",
    text: "Several people say different things of these inputs. The label most of them give is learned." },
  { name: "queued", title: "Waiting", empty: "No label waits.", text: "These are learned next." },
  { name: "applied", title: "Learned", empty: "Nothing was learned from feedback yet.", text: "" },
  { name: "superseded", title: "Outvoted", empty: "No label was replaced by another.",
    text: "Another label of the same input prevails." },
  { name: "rejected", title: "Refused", empty: "Nothing was refused.", text: "" },
  { name: "withdrawn", title: "Taken back", empty: "Nothing was taken back.", text: "" },
];

/** The feedback that the service keeps, by where it stands; what waits for a person comes first. */
export function ListsPanel() {
  useEffect(() => { void askList(); }, [list.value]);
  const shown = LISTS.find((one) => one.name === list.value)!;
  const part = list.value === "disputes" ? disputes.value : list.value === "quarantined" ? heldBack.value : others.value;
  return (
    <div class="panel-body">
      <section aria-label="Feedback">
        <h2>Feedback</h2>
        <div class="chips" role="group" aria-label="Which feedback">
          {LISTS.map((one) => (
            <button key={one.name} type="button" aria-pressed={one.name === list.value} onClick={() => { list.value = one.name; }}>
              {one.title}{countOf(one.name)}
            </button>
          ))}
        </div>
        <Refused scope="predict" />
        <p class="hint">{part.items.length ? shown.text : shown.empty}</p>
        {list.value === "quarantined" && heldBack.value.items.length > 1 && <DecideAll />}
        <ol class="feedback" aria-label={shown.title}>
          {list.value === "disputes"
            ? disputes.value.items.map((one) => <Disputed key={one.voices[0]!.feedback_id} dispute={one} />)
            : (list.value === "quarantined" ? heldBack : others).value.items.map((one) => <Item key={one.feedback_id} item={one} />)}
        </ol>
        {part.next && <button type="button" onClick={() => void askMore()}>More</button>}
        {list.value === "quarantined" && heldBack.value.items.length > 0 && <Refused scope="admin" />}
      </section>
    </div>
  );
}

/** For a batch that was held back as a whole; a second click confirms, as there is no undo. */
function DecideAll() {
  const asked = useSignal<"accept" | "withdraw" | null>(null);
  const items = heldBack.value.items.length;
  const under = deciding.value;
  if (under) return <p class="hint" role="status">{under.done} of {under.of} decided</p>;
  const button = (how: "accept" | "withdraw", name: string) => (
    <button type="button" disabled={refusal("admin") !== null} title={refusal("admin") ?? "Of those that are listed here"}
      class={asked.value === how ? "primary" : ""}
      onClick={() => {
        if (asked.value === how) void decideAll(how);
        asked.value = asked.value === how ? null : how;
      }}>
      {asked.value === how ? `Sure? ${name} ${items}` : `${name} all ${items}`}
    </button>
  );
  return <div class="row decide-all" onMouseLeave={() => { asked.value = null; }}>{button("accept", "Accept")}{button("withdraw", "Take back")}</div>;
}

function countOf(name: ListName) {
  const part = name === "quarantined" ? heldBack.value : name === "disputes" ? disputes.value : null;
  if (!part?.items.length) return null;
  return <span class="count">{part.items.length}{part.next ? "+" : ""}</span>;
}

function Item({ item }: { item: FeedbackState }) {
  return (
    <li>
      <Input id={item.feedback_id} />
      <div>
        <b>{item.label}</b> by {item.author}, {ago(Date.parse(item.created))}
        {item.reason && <div class="hint">{item.reason}</div>}
        <div class="row">
          {item.status === "quarantined" && <button type="button" disabled={refusal("admin") !== null}
            title={refusal("admin") ?? "Learn it after all"} onClick={() => void acceptItem(item)}>Accept</button>}
          {["queued", "applied", "quarantined"].includes(item.status) && <TakeBack item={item} />}
        </div>
      </div>
    </li>
  );
}

function Disputed({ dispute }: { dispute: Dispute }) {
  return (
    <li>
      <Input id={dispute.voices[0]!.feedback_id} />
      <ul class="voices" aria-label={`what people say, ${dispute.label} prevails`}>
        {dispute.voices.map((voice) => (
          <li key={voice.feedback_id} class={voice.label === dispute.label ? "prevails" : ""}>
            <span><b>{voice.label}</b> by {voice.author}, {ago(Date.parse(voice.created))}
              {voice.label === dispute.label && <span class="chip">prevails</span>}</span>
            <TakeBack item={voice} />
          </li>
        ))}
      </ul>
    </li>
  );
}

function TakeBack({ item }: { item: FeedbackState }) {
  const why = refusalToTakeBack(item);
  return <button type="button" class="link" disabled={why !== null} title={why ?? "It is learned no more"}
    onClick={() => void takeBack(item)}>Take back</button>;
}

/** Everybody may take his own labels back, and an administrator all. */
function refusalToTakeBack(item: FeedbackState): string | null {
  const own = access.value === null || access.value.owner === item.author;
  return refusal("feedback") ?? (own || refusal("admin") === null ? null : `Only ${item.author} and administrators may take it back.`);
}

function Input({ id }: { id: string }) {
  return isImage.value ? <Thumbnail id={id} size={40} /> : <PointValues id={id} most={4} />;
}
