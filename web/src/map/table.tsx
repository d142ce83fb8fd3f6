import { useSignal } from "@preact/signals";
import { nameAt } from "../data/category";
import { short } from "../parts/format";
import { Thumbnail } from "../parts/picture";
import { Term } from "../parts/term";
import { choose, points, selection, visible } from "../state/map";
import { isImage } from "../state/service";

const PAGE = 50;
type Order = "row" | "total" | "p_familiar" | "p_owned";

/** The same points as rows: for those who cannot use the map, and where there is no WebGL. */
export function Table() {
  const page = useSignal(0);
  const order = useSignal<Order>("row");
  const shown = points.value;
  if (!shown) return null;
  const rows = [...(visible.value ?? []).keys()].filter((row) => visible.value![row]);
  if (order.value !== "row") {
    const values = shown.numbers[order.value];
    const sign = order.value === "total" ? -1 : 1;
    rows.sort((a, b) => sign * (values[a]! - values[b]!));
  }
  const pages = Math.max(1, Math.ceil(rows.length / PAGE));
  const at = Math.min(page.value, pages - 1);
  return (
    <div class="table-view">
      <div class="pager">
        <label>Order{" "}
          <select value={order.value} onChange={(event) => { order.value = event.currentTarget.value as Order; page.value = 0; }}>
            <option value="row">as on the map</option>
            <option value="total">most uncertain first</option>
            <option value="p_familiar">least familiar first</option>
            <option value="p_owned">least owned first</option>
          </select>
        </label>
        <button type="button" disabled={at === 0} onClick={() => { page.value = at - 1; }}>Before</button>
        <span>page {at + 1} of {pages}</span>
        <button type="button" disabled={at === pages - 1} onClick={() => { page.value = at + 1; }}>Next</button>
      </div>
      <div class="scroll" tabIndex={0} role="region" aria-label="Inputs">
        <table>
          <thead><tr><th scope="col">Chosen</th>{isImage.value && <th scope="col">Input</th>}<th scope="col">Answer</th>
            <th scope="col">Label</th><th scope="col"><Term word="Channel" /></th><th scope="col"><Term word="Uncertainty" /></th>
            <th scope="col"><Term word="p familiar" /></th><th scope="col"><Term word="p owned" /></th><th scope="col">From</th></tr></thead>
          <tbody>
            {rows.slice(at * PAGE, (at + 1) * PAGE).map((row) => (
              <tr key={shown.ids[row]}>
                <td><input type="checkbox" aria-label={`Choose ${shown.ids[row]}`} checked={selection.value.mask[row] === 1}
                  onChange={(event) => choose([row], event.currentTarget.checked ? "add" : "subtract")} /></td>
                {isImage.value && <td><Thumbnail id={shown.ids[row]!} size={32} alt={`input ${shown.ids[row]}`} /></td>}
                <td>{nameAt(shown.categories.answer, row)}</td>
                <td>{nameAt(shown.categories.label, row) ?? "–"}</td>
                <td>{nameAt(shown.categories.channel, row) ?? "–"}</td>
                <td>{short(shown.numbers.total[row])}</td>
                <td>{short(shown.numbers.p_familiar[row])}</td>
                <td>{short(shown.numbers.p_owned[row])}</td>
                <td>{nameAt(shown.categories.source, row)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </div>
  );
}
