import { useSignal } from "@preact/signals";
import { counted } from "../parts/format";
import { Thumbnail } from "../parts/picture";
import { chosen } from "../data/selection";
import { undoable } from "../data/history";
import { clearSelection, points, selection } from "../state/map";
import { history, labelPoints, undo } from "../state/labelling";
import { attempt } from "../state/notices";
import { bundle, isImage, keyOf, labelNames } from "../state/service";
import { PointValues, ValuesTable } from "../parts/values";
import { Refused } from "../parts/refused";
import { refusal, refusalOfName } from "../state/access";
import { Facts } from "../map/hover-card";
import { LABEL_TYPE } from "./channels";
import { Queue } from "./queue";

const SHOWN = 60;
/** Of selected vectors, whose values stand side by side. */
const COMPARED = 4;

/** Labels what is selected; without a selection, the queue of what is worth a label. */
export function LabelPanel() {
  return (
    <div class="panel-body">
      {selection.value.count ? <Selected /> : <Queue />}
      <Deeds />
    </div>
  );
}

/** Labels the selection and lets go of it. */
export async function labelSelection(label: string): Promise<void> {
  const shown = points.value;
  if (!shown) return;
  const ids = chosen(selection.value).map((row) => shown.ids[row]!);
  if (await labelPoints(ids, label)) clearSelection();
}

function Selected() {
  const shown = points.value!;
  const rows = chosen(selection.value);
  return (
    <section aria-label="Selection">
      <h2>{counted(rows.length, "input")} selected</h2>
      {rows.length === 1 && <div class="single">
        {isImage.value && <Thumbnail id={shown.ids[rows[0]!]!} size={96} alt="the selected input" />}
        <Facts points={shown} row={rows[0]!} />
      </div>}
      {rows.length === 1 && !isImage.value && <PointValues id={shown.ids[rows[0]!]!} />}
      {rows.length > 1 && !isImage.value && <>
        {rows.length > COMPARED && <p class="hint">The values of the first {COMPARED}:</p>}
        <ValuesTable ids={rows.slice(0, COMPARED).map((row) => shown.ids[row]!)} />
      </>}
      {rows.length > 1 && isImage.value && (
        <div class="thumbnails" role="group" aria-label="Selected inputs" tabIndex={0}>
          {rows.slice(0, SHOWN).map((row) => <Thumbnail key={shown.ids[row]} id={shown.ids[row]!} size={34} />)}
          {rows.length > SHOWN && <span class="more">and {rows.length - SHOWN} more</span>}
        </div>
      )}
      <Namer onName={(label) => void labelSelection(label)} question={rows.length === 1 ? "What is this?" : "What are these?"} />
    </section>
  );
}

/** Asks for a label: a button for each name there is, and a field for a new one. */
export function Namer({ onName, question }: { onName: (label: string) => void; question: string }) {
  const text = useSignal("");
  const typed = text.value.trim();
  const refused = typed ? refusalOfName(!(bundle.value?.labels.includes(typed) ?? false)) : null;
  return (
    <form class="namer" onSubmit={(event) => {
      event.preventDefault();
      if (typed) onName(typed);
      text.value = "";
    }}>
      <label for="new-label">{question}</label>
      <div class="row">
        <input id="new-label" list="label-names" placeholder="type a name, also a new one" maxLength={64} autocomplete="off"
          disabled={refusal("feedback") !== null}
          value={text.value} onInput={(event) => { text.value = event.currentTarget.value; }} />
        <button type="submit" class="primary" disabled={!typed || refused !== null}>Label</button>
      </div>
      {refusal("feedback") ? <Refused scope="feedback" /> : refused && <p class="hint refused" role="status">{refused}</p>}
      <datalist id="label-names">{labelNames.value.map((name) => <option key={name} value={name} />)}</datalist>
      <div class="label-buttons" role="group" aria-label="Labels">
        {labelNames.value.map((name) => <LabelButton key={name} name={name} onName={onName} />)}
      </div>
    </form>
  );
}

/** A click gives the label; dragged onto the card of a channel it goes to the channel's points. */
function LabelButton({ name, onName }: { name: string; onName: (label: string) => void }) {
  const key = keyOf(name);
  const refused = refusalOfName(!(bundle.value?.labels.includes(name) ?? false));
  return (
    <button type="button" disabled={refused !== null} draggable={refused === null} onClick={() => onName(name)}
      title={refused ?? "Click, press its key, or drag it onto a channel"} aria-keyshortcuts={key ?? undefined}
      onDragStart={(event) => { event.dataTransfer?.setData(LABEL_TYPE, name); }}>
      {key && <kbd>{key}</kbd>}{key !== name && <span>{name}</span>}
    </button>
  );
}

const STATUS_TEXT: Record<string, string> = {
  sending: "being stored", queued: "stored, waits to be learned", claimed: "being learned", applied: "learned",
  failed: "not stored", quarantined: "held back", superseded: "replaced by a newer label", withdrawn: "taken back",
  withdrawing: "will be taken out", rejected: "refused",
};

function Deeds() {
  if (!history.value.length) return null;
  return (
    <section aria-label="What you labelled" class="deeds">
      <h2>What you labelled
        <button type="button" class="link" disabled={!undoable(history.value)} onClick={() => void attempt(() => undo())}>
          Undo <kbd>Ctrl Z</kbd>
        </button>
      </h2>
      <ol aria-live="polite">
        {history.value.slice(0, 12).map((deed) => (
          <li key={deed.number} class={`deed ${deed.status}`}>
            <b>{deed.pointIds.length || 1} × {deed.label}</b> <span>{STATUS_TEXT[deed.status]}{deed.reason ? `: ${deed.reason}` : ""}</span>
          </li>
        ))}
      </ol>
    </section>
  );
}
