import { counted } from "./format";
import { showGroup } from "../state/group";
import { groups, points } from "../state/map";
import { countCodes } from "../data/category";

/** Says loudly that there are inputs nobody has named, and leads to them. */
export function Callout() {
  const found = groups.value;
  const shown = points.value;
  if (!shown || !found.length) return null;
  const strange = countCodes(shown.categories.decision)[2] ?? 0;
  const inputs = found.reduce((sum, group) => sum + group.rows.length, 0);
  return (
    <div class="callout" role="status">
      <span class="mark-unnamed" aria-hidden="true">?</span>
      <p><b>{found.length === 1 ? "1 group of inputs that nobody has named" : `${found.length} groups of inputs that nobody has named`}: {counted(inputs, "point")}.</b>
        {strange > 0 && <span class="hint"> {counted(strange, "more point")} {strange === 1 ? "is" : "are"} out of distribution: unlike anything seen in training.</span>}</p>
      <button id="show-unnamed" type="button" class="loud" onClick={() => showGroup()}>
        {found.length === 1 ? "Show and select them" : "Show the largest"}
      </button>
    </div>
  );
}
