import { batch } from "@preact/signals";
import { described, extentOf, type Group } from "../data/groups";
import { NO_FILTER } from "../data/filter";
import { labelPoints } from "./labelling";
import { choose, filter, flight, groups, points, visible } from "./map";
import { panel } from "./view";

/** Flies to a group that nobody has named, selects it and opens where it is labelled. */
export function showGroup(group: Group | undefined = groups.value[0]): void {
  if (!group) return;
  batch(() => {
    filter.value = NO_FILTER;
    flight.value = { centre: group.centre, radius: seenRadius(group.radius) };
    panel.value = "label";
  });
  choose(group.rows, "replace");
  showNameField();
}

/** The field for a name is where the next thing is typed; on a small screen it is below the map.
 *
 * A finger does not type: the keyboard on the screen would cover what is asked about.
 */
function showNameField(): void {
  requestAnimationFrame(() => {
    const field = document.querySelector<HTMLElement>("#new-label");
    field?.scrollIntoView({ block: "nearest" });
    if (matchMedia("(pointer: fine)").matches) field?.focus();
  });
}

/** Flies to some rows and selects them. */
export function showRows(rows: number[]): void {
  if (!points.value || !rows.length) return;
  const { centre, radius } = described(points.value, rows);
  flight.value = { centre, radius: seenRadius(radius) };
  choose(rows, "replace");
}

/** The points of a channel that the filter lets through. */
export function rowsOf(channel: number): number[] {
  const [shown, through] = [points.value, visible.value];
  if (!shown || !through) return [];
  const rows: number[] = [];
  shown.categories.channel.codes.forEach((code, row) => { if (code === channel && through[row]) rows.push(row); });
  return rows;
}

/** Labels all points of a channel that the filter lets through. */
export function labelChannel(channel: number, label: string): Promise<boolean> {
  return labelPoints(rowsOf(channel).map((row) => points.value!.ids[row]!), label);
}

/** With what lies around, so that one still sees where on the map it is. */
function seenRadius(radius: number): number {
  return Math.max(2 * radius, points.value ? 0.2 * extentOf(points.value) : 0);
}
