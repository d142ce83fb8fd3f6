import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { valuesOf } from "../api/values";
import { numberOf, numbersOf } from "../data/numbers";
import { chosen } from "../data/selection";
import { featureName } from "../parts/values";
import { points, selection } from "../state/map";
import { notify } from "../state/notices";
import { bundle } from "../state/service";
import { trial, tryValues } from "../state/trial";

/** Of more values than these a field for each is no help: they are pasted. */
const FIELDS = 64;

/** Values are typed or pasted here, beginning with those of an input of the map. */
export function ValueForm() {
  const count = bundle.value!.input.shape.reduce((product, side) => product * side, 1);
  // What was asked last stands here again after another panel was open.
  const texts = useSignal<string[]>(trial.peek()?.row.map(written) ?? []);
  const put = (values: readonly number[]): void => { texts.value = values.map(written); };
  const takeFromMap = async (): Promise<void> => {
    const id = someInput();
    const values = id === null ? null : await valuesOf(id);
    if (values) put(values);
  };
  // As soon as there is a map, unless somebody was faster.
  const isMapThere = points.value !== null;
  useEffect(() => { if (isMapThere && !texts.peek().length) void takeFromMap(); }, [isMapThere]);

  const values = Array.from({ length: count }, (_, i) => numberOf(texts.value[i] ?? ""));
  const missing = values.findIndex((value) => value === null);
  const change = (index: number, text: string): void => {
    texts.value = Array.from({ length: count }, (_, i) => (i === index ? text : (texts.value[i] ?? "")));
  };
  const paste = (event: ClipboardEvent): void => {
    const text = event.clipboardData?.getData("text/plain") ?? "";
    const pasted = numbersOf(text);
    // A single number, also one with a decimal comma, belongs into its field.
    if (!pasted || (pasted.length !== count && numberOf(text) !== null)) return;
    event.preventDefault();
    if (pasted.length === count) put(pasted);
    else notify(`An input has ${count} values, and these are ${pasted.length}.`, "bad");
  };
  return (
    <form class="value-form" onPaste={paste} onSubmit={(event) => {
      event.preventDefault();
      if (missing < 0) void tryValues(values as number[]);
    }}>
      <p class="hint">{count <= FIELDS ? `Change values and ask, or paste all ${count} of a row into any field.` : `Paste the ${count} values of a row; a line for each.`}</p>
      {count <= FIELDS
        ? <div class="fields" role="group" aria-label="Values to try" tabIndex={0}>
            {values.map((value, i) => (
              <label key={i}><span title={featureName(i)}>{featureName(i)}</span>
                <input type="text" inputMode="decimal" autocomplete="off" aria-invalid={value === null}
                  value={texts.value[i] ?? ""} onInput={(event) => change(i, event.currentTarget.value)} />
              </label>
            ))}
          </div>
        : <textarea aria-label="Values to try" rows={4} value={texts.value.join("\n")}
            onInput={(event) => { texts.value = event.currentTarget.value.split("\n"); }} />}
      <div class="row">
        <button type="submit" class="primary" disabled={missing >= 0}>Ask</button>
        <button type="button" disabled={!points.value?.count} onClick={() => void takeFromMap()}>
          {selection.value.count === 1 ? "Take the selected input" : "Take another input"}
        </button>
      </div>
      {missing >= 0 && texts.value.length > 0 && <p class="hint" role="status">{featureName(missing)}: type a number.</p>}
    </form>
  );
}

/** A value as it stands in its field: six digits, as much as float32 keeps. */
function written(value: number): string {
  return String(Number(value.toPrecision(6)));
}

/** The input that is selected, else any; null of an empty map. */
function someInput(): string | null {
  const shown = points.value;
  if (!shown?.count) return null;
  const row = selection.value.count === 1 ? chosen(selection.value)[0]! : Math.floor(Math.random() * shown.count);
  return shown.ids[row]!;
}
