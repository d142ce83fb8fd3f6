import { computed, signal } from "@preact/signals";
import { explain } from "../api/problem";
import { getJson } from "../api/request";
import type { Bundle, Labels } from "../api/shapes";
import { labelKeys } from "../data/keys";

export const bundle = signal<Bundle | null>(null);
export const labels = signal<Labels | null>(null);
/** Why the service cannot be asked, in one line. */
export const trouble = signal<string | null>(null);

/** Names that were typed here and that no bundle has yet. */
export const newNames = signal<string[]>([]);

export const labelNames = computed(() => {
  const known = bundle.value?.labels ?? [];
  return [...known, ...newNames.value.filter((name) => !known.includes(name))];
});

export const keysOfLabels = computed(() => labelKeys(labelNames.value));

/** The key of a label, or null. */
export function keyOf(label: string): string | null {
  for (const [key, name] of keysOfLabels.value) if (name === label) return key;
  return null;
}

/** Whether inputs can be shown as pictures: one or three channels of rows of pixels. */
export const isImage = computed(() => {
  const shape = bundle.value?.input.shape ?? [];
  return shape.length === 2 || (shape.length === 3 && (shape[0] === 1 || shape[0] === 3));
});

/** Asks what is served; returns whether another version came. */
export async function askBundle(): Promise<boolean> {
  try {
    const [servedBundle, servedLabels] = await Promise.all([
      getJson<Bundle>("bundle"),
      getJson<Labels>("labels"),
    ]);
    const changed = bundle.value !== null && bundle.value.bundle_version !== servedBundle.bundle_version;
    bundle.value = servedBundle;
    labels.value = servedLabels;
    trouble.value = null;
    return changed;
  } catch (error) {
    trouble.value = explain(error);
    return false;
  }
}
