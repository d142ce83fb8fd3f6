import type { Combine } from "../data/selection";
import { count } from "../parts/format";
import { chooseVisible, clearSelection, points, selection, visible } from "../state/map";
import { asTable, combining, type Tool, tool } from "../state/view";

const TOOLS: { tool: Tool; name: string; help: string }[] = [
  { tool: "pan", name: "Move", help: "Drag to move, wheel to zoom, click to select one" },
  { tool: "lasso", name: "Lasso", help: "Draw around points; Shift adds, Alt takes away" },
  { tool: "box", name: "Box", help: "Drag a box; Shift adds, Alt takes away" },
];

const COMBINES: { how: Combine; name: string; sign: string }[] = [
  { how: "replace", name: "Select anew", sign: "○" },
  { how: "add", name: "Add to the selection (Shift)", sign: "+" },
  { how: "subtract", name: "Take away from the selection (Alt)", sign: "−" },
];

/** What a drag on the map does, and what is selected. */
export function Toolbar() {
  const shown = visible.value?.reduce((sum, one) => sum + one, 0) ?? 0;
  return (
    <div class="toolbar" role="toolbar" aria-label="Map tools">
      <div class="segments" role="radiogroup" aria-label="Drag on the map">
        {TOOLS.map((one) => (
          <button key={one.tool} type="button" role="radio" aria-checked={tool.value === one.tool} title={one.help}
            onClick={() => { tool.value = one.tool; }}>
            {one.name}
          </button>
        ))}
      </div>
      {tool.value !== "pan" && <div class="segments" role="radiogroup" aria-label="What is drawn around">
        {COMBINES.map((one) => (
          <button key={one.how} type="button" role="radio" aria-checked={combining.value === one.how} aria-label={one.name}
            title={one.name} onClick={() => { combining.value = one.how; }}>{one.sign}</button>
        ))}
      </div>}
      <button type="button" onClick={chooseVisible}>Select all shown</button>
      <button type="button" disabled={!selection.value.count} onClick={clearSelection}>Clear</button>
      <span class="status" aria-live="polite">
        {selection.value.count ? `${count(selection.value.count)} selected of ` : ""}
        {count(shown)}{shown !== (points.value?.count ?? 0) ? ` of ${count(points.value!.count)}` : ""} inputs
      </span>
      <button type="button" class="right" aria-pressed={asTable.value} onClick={() => { asTable.value = !asTable.value; }}>
        Table
      </button>
    </div>
  );
}
