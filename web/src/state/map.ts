import { batch, computed, signal } from "@preact/signals";
import { request } from "../api/request";
import { explain } from "../api/problem";
import { type Summary, summaryOf, withServed } from "../data/change";
import { type Filter, NO_FILTER, passing } from "../data/filter";
import { unnamedGroups } from "../data/groups";
import { startsOf } from "../data/morph";
import { paint } from "../data/paint";
import { type Place, Places } from "../data/places";
import { type Points, readPoints } from "../data/points";
import { carried, combine, type Combine, noSelection, type Selection, within } from "../data/selection";
import { pending } from "./labelling";
import { colourBy, hovered, theme } from "./view";

/** The map: its points, what is let through and what is chosen. */
export const points = signal<Points | null>(null);
/** Where the points move from when another version came. */
export const morphFrom = signal<Float32Array<ArrayBuffer> | null>(null);
/** What the versions that this page has seen said of the points, the served one last. */
export const served = signal<Summary[]>([]);
export const mapTrouble = signal<string | null>(null);
export const filter = signal<Filter>(NO_FILTER);
/** What was drawn around or clicked, also where a filter has greyed it since. */
const picked = signal<Selection>(noSelection(0));
/** Where the view should go next: a centre and half of what should be seen. */
export const flight = signal<{ centre: Place; radius: number } | null>(null);

export const places = computed(() => {
  const shown = points.value;
  return shown && new Places(shown.positions, shown.count);
});
export const visible = computed(() => points.value && passing(points.value, filter.value));
/** What is chosen: a point that the filter greys is not, until it is shown again. */
export const selection = computed(() => (visible.value ? within(picked.value, visible.value) : picked.value));
export const painted = computed(() => points.value && paint(points.value, colourBy.value, theme.value));

/** Points with a label that waits to be learned, 1 for each. */
export const labelled = computed(() => {
  const shown = points.value;
  if (!shown || !pending.value.size) return null;
  return Uint8Array.from(shown.ids, (id) => (pending.value.has(id) ? 1 : 0));
});
export const groups = computed(() => (points.value ? unnamedGroups(points.value, labelled.value) : []));

let etag: string | null = null;
let loading: Promise<void> | null = null;
let again = false;

/** Asks for the points; requests while one is under way become one more. */
export function loadMap(): Promise<void> {
  if (loading) {
    again = true;
    return loading;
  }
  loading = load().finally(() => {
    loading = null;
    if (again) {
      again = false;
      void loadMap();
    }
  });
  return loading;
}

async function load(): Promise<void> {
  try {
    // The browser asks with what it has, and answers a 304 out of its own store.
    const response = await request("latent-map", { cache: "no-cache" });
    const tag = response.headers.get("ETag");
    if (tag !== null && tag === etag) return;
    take(readPoints(await response.arrayBuffer()));
    etag = tag;
    mapTrouble.value = null;
  } catch (error) {
    mapTrouble.value = explain(error);
  }
}

function take(fresh: Points): void {
  const old = points.value;
  batch(() => {
    hovered.value = null;
    morphFrom.value = old && old.version !== fresh.version
      ? startsOf(old.ids, old.positions, fresh.ids, fresh.positions)
      : null;
    picked.value = old ? carried(picked.value, old.ids, fresh.ids) : noSelection(fresh.count);
    // Codes may mean something else in another version.
    if (old && old.version !== fresh.version) filter.value = NO_FILTER;
    served.value = withServed(served.value, summaryOf(fresh));
    points.value = fresh;
  });
}

/** Chooses rows; what a filter hides is never chosen. */
export function choose(rows: readonly number[], how: Combine): void {
  const shown = visible.value;
  if (!shown) return;
  picked.value = combine(picked.value, rows.filter((row) => shown[row]), how);
}

export function chooseVisible(): void {
  const shown = visible.value;
  if (shown) choose([...shown.keys()], "replace");
}

export function clearSelection(): void {
  picked.value = noSelection(points.value?.count ?? 0);
}
