import { type Camera, type Size, toScreen } from "../data/camera";
import { nameAt } from "../data/category";
import type { Place } from "../data/places";
import type { Points } from "../data/points";
import { ago, short } from "../parts/format";
import { Thumbnail } from "../parts/picture";
import { Term } from "../parts/term";
import { PointValues } from "../parts/values";
import { pending } from "../state/labelling";
import { points } from "../state/map";
import { isImage } from "../state/service";
import { hovered } from "../state/view";

/** What is known of the point under the pointer. */
export function HoverCard({ camera, size, pointer }: { camera: Camera; size: Size; pointer: Place }) {
  const shown = points.value;
  const row = hovered.value;
  if (!shown || row === null || row >= shown.count) return null;
  const place = toScreen(camera, size, [shown.positions[2 * row]!, shown.positions[2 * row + 1]!]);
  const left = pointer[0] > size.width / 2;
  const up = pointer[1] > size.height / 2;
  const card = {
    left: left ? "auto" : `${place[0] + 16}px`,
    right: left ? `${size.width - place[0] + 16}px` : "auto",
    top: up ? "auto" : `${place[1] + 8}px`,
    bottom: up ? `${size.height - place[1] + 8}px` : "auto",
  };
  return (
    <>
      <span class="ring" style={{ transform: `translate(${place[0]}px, ${place[1]}px)` }} />
      <div class="hover-card" style={card}>
        {isImage.value && <Thumbnail id={shown.ids[row]!} size={72} />}
        <Facts points={shown} row={row} />
        {!isImage.value && <PointValues id={shown.ids[row]!} most={10} />}
      </div>
    </>
  );
}

export function Facts({ points: shown, row }: { points: Points; row: number }) {
  const { categories, numbers } = shown;
  const label = pending.value.get(shown.ids[row]!) ?? nameAt(categories.label, row);
  const created = numbers.created[row]!;
  return (
    <dl class="facts">
      <dt>Answer</dt><dd><b>{nameAt(categories.answer, row)}</b></dd>
      {nameAt(categories.decision, row) !== "known" && <><dt><Term word="Nearest" /></dt><dd>{nameAt(categories.predicted, row)}</dd></>}
      {label !== null && <><dt>Labelled</dt><dd>{label}</dd></>}
      <dt><Term word="Channel" /></dt><dd>{nameAt(categories.channel, row) ?? "–"}</dd>
      <dt><Term word="Uncertainty" /></dt><dd>{short(numbers.total[row])} nats</dd>
      <dt><Term word="p familiar" /></dt><dd>{short(numbers.p_familiar[row])}</dd>
      <dt><Term word="p owned" /></dt><dd>{short(numbers.p_owned[row])}</dd>
      <dt>From</dt><dd>{nameAt(categories.source, row)}{created > 0 ? `, ${ago(created)}` : ""}</dd>
    </dl>
  );
}
