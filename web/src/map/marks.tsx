import { useComputed } from "@preact/signals";
import { type Camera, type Size, toScreen } from "../data/camera";
import type { Group } from "../data/groups";
import { marksOf } from "../data/marks";
import { isCategory } from "../data/paint";
import { filter, groups, points } from "../state/map";
import { colourBy } from "../state/view";
import { showGroup } from "../state/group";

/** Names on the map, and a call on every group that nobody has named. */
export function Marks({ camera, size }: { camera: Camera; size: Size }) {
  const marks = useComputed(() => (points.value ? marksOf(points.value, colourBy.value) : []));
  const by = colourBy.value;
  const off = isCategory(by) ? (filter.value.off[by] ?? []) : [];
  return (
    <div class="marks">
      {marks.value.map((mark) => (
        <span key={mark.name} class={off.includes(mark.code) ? "mark off" : "mark"} style={at(toScreen(camera, size, mark.place))} aria-hidden="true">
          {mark.name}
        </span>
      ))}
      {groups.value.slice(0, 5).map((group) => <Call key={group.rows[0]} group={group} camera={camera} size={size} />)}
    </div>
  );
}

function Call({ group, camera, size }: { group: Group; camera: Camera; size: Size }) {
  const above = [group.centre[0], group.centre[1] + group.radius] as const;
  return (
    <button
      type="button"
      class="call"
      style={at(toScreen(camera, size, above))}
      onClick={() => showGroup(group)}
      aria-label={`? ${group.rows.length}, a group without a name: show and select it`}
    >
      ? {group.rows.length}
    </button>
  );
}

function at(place: readonly [number, number]): { transform: string } {
  return { transform: `translate(${place[0].toFixed(1)}px, ${place[1].toFixed(1)}px) translate(-50%, -50%)` };
}
