import { batch } from "@preact/signals";
import { described, extentOf, type Group } from "../data/groups";
import { NO_FILTER } from "../data/filter";
import { choose, filter, flight, groups, points } from "./map";
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
}

/** Flies to some rows and selects them. */
export function showRows(rows: number[]): void {
  if (!points.value || !rows.length) return;
  const { centre, radius } = described(points.value, rows);
  flight.value = { centre, radius: seenRadius(radius) };
  choose(rows, "replace");
}

/** With what lies around, so that one still sees where on the map it is. */
function seenRadius(radius: number): number {
  return Math.max(2 * radius, points.value ? 0.2 * extentOf(points.value) : 0);
}
