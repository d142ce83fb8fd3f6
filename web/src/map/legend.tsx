import { countCodes, NONE } from "../data/category";
import { only, toggled, isFiltering, NO_FILTER, ranged } from "../data/filter";
import { codeColours, type ColourBy, isCategory } from "../data/paint";
import { css, viridis } from "../data/palette";
import { type CategoryColumn, type NumberColumn, UNNAMED } from "../data/points";
import { ago, count, short, versionName } from "../parts/format";
import { filter, painted, points } from "../state/map";
import { colourBy, theme } from "../state/view";

export const COLOUR_NAMES: Record<ColourBy, string> = {
  answer: "answer",
  label: "label given by people",
  predicted: "predicted label",
  decision: "decision",
  channel: "channel",
  source: "source",
  bundle_version: "bundle version",
  total: "total uncertainty",
  aleatoric: "aleatoric uncertainty",
  epistemic: "epistemic uncertainty",
  p_familiar: "p familiar",
  p_owned: "p owned",
  created: "age",
};

/** What the colours mean; an entry switches its points off and on. */
export function Legend() {
  if (!points.value) return null;
  return (
    <section class="legend" aria-label="Legend and filter">
      <label class="colour-by">
        Colour by
        <select
          id="colour-by"
          value={colourBy.value}
          onChange={(event) => { colourBy.value = event.currentTarget.value as ColourBy; }}
        >
          {Object.entries(COLOUR_NAMES).map(([by, name]) => <option key={by} value={by}>{name}</option>)}
        </select>
      </label>
      {isCategory(colourBy.value) ? <Codes column={colourBy.value} /> : <Numbers column={colourBy.value} />}
      {isFiltering(filter.value) && (
        <button type="button" class="link" onClick={() => { filter.value = NO_FILTER; }}>Show everything</button>
      )}
    </section>
  );
}

function Codes({ column }: { column: CategoryColumn }) {
  const category = points.value!.categories[column];
  const colours = codeColours(column, category, theme.value);
  const counts = countCodes(category);
  const off = filter.value.off[column] ?? [];
  const none = category.codes.reduce((sum, code) => sum + (code === NONE ? 1 : 0), 0);
  return (
    <ul class="codes">
      {category.names.map((name, code) => counts[code]! > 0 && (
        <li key={name}>
          <button
            type="button"
            class={name === UNNAMED ? "entry unnamed" : "entry"}
            aria-pressed={!off.includes(code)}
            title="Click: hide or show. Double click: only this."
            onClick={() => { filter.value = toggled(filter.value, column, code); }}
            onDblClick={() => { filter.value = only(filter.value, column, code, category.names.length); }}
          >
            <span class="dot" style={{ background: css(colours[code]!) }} />
            <span class="name" title={name}>{column === "bundle_version" ? versionName(name) : name}</span>
            <span class="number">{count(counts[code]!)}</span>
          </button>
        </li>
      ))}
      {none > 0 && (
        <li>
          <button type="button" class="entry" aria-pressed={!off.includes(NONE)}
            onClick={() => { filter.value = toggled(filter.value, column, NONE); }}>
            <span class="dot none" /><span class="name">none</span><span class="number">{count(none)}</span>
          </button>
        </li>
      )}
    </ul>
  );
}

function Numbers({ column }: { column: NumberColumn }) {
  const ramp = painted.value?.ramp;
  if (!ramp) return null;
  const range = filter.value.ranges[column] ?? [ramp.low, ramp.high];
  const steps = Array.from({ length: 24 }, (_, i) => css(viridis(i / 23, theme.value)));
  const step = (ramp.high - ramp.low) / 100 || 0.01;
  const change = (low: number, high: number): void => {
    const all = low <= ramp.low && high >= ramp.high;
    filter.value = ranged(filter.value, column, all ? null : [
      low <= ramp.low ? -Infinity : low, high >= ramp.high ? Infinity : high,
    ]);
  };
  const low = Math.max(ramp.low, range[0]);
  const high = Math.min(ramp.high, range[1]);
  return (
    <div class="ramp">
      <div class="bar">{steps.map((colour, i) => <span key={i} style={{ background: colour }} />)}</div>
      <div class="ends"><span>{endOf(column, ramp.low)}</span><span>{endOf(column, ramp.high)}</span></div>
      <label>{column === "created" ? "from" : "at least"} {endOf(column, low)}
        <input type="range" min={ramp.low} max={ramp.high} step={step} value={low}
          onInput={(event) => change(Number(event.currentTarget.value), high)} />
      </label>
      <label>{column === "created" ? "to" : "at most"} {endOf(column, high)}
        <input type="range" min={ramp.low} max={ramp.high} step={step} value={high}
          onInput={(event) => change(low, Number(event.currentTarget.value))} />
      </label>
    </div>
  );
}

function endOf(column: NumberColumn, value: number): string {
  return column === "created" ? ago(value) : short(value);
}
