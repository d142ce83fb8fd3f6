import { batch } from "@preact/signals";
import type { Group } from "../data/groups";
import { described } from "../data/groups";
import { NO_FILTER } from "../data/filter";
import { choose, filter, flight, groups, points } from "./map";
import { panel } from "./view";

/** Flies to a group that nobody has named, selects it and opens where it is labelled. */
export function showGroup(group: Group | undefined = groups.value[0]): void {
  if (!group) return;
  batch(() => {
    filter.value = NO_FILTER;
    flight.value = { centre: group.centre, radius: Math.max(group.radius * 2.2, 1e-3) };
    panel.value = "label";
  });
  choose(group.rows, "replace");
}

/** Flies to some rows and selects them. */
export function showRows(rows: number[]): void {
  if (!points.value || !rows.length) return;
  const { centre, radius } = described(points.value, rows);
  flight.value = { centre, radius: Math.max(radius * 2.2, 1e-3) };
  choose(rows, "replace");
}
