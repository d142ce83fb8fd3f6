import { tableFromIPC } from "@uwdata/flechette";
import type { Decision } from "../api/shapes";
import { type Category, categoryOf, NONE } from "./category";

/** Columns of numbers that a point may be coloured by. */
export const NUMBER_COLUMNS = [
  "total", "aleatoric", "epistemic", "p_familiar", "p_owned", "created",
] as const;
export type NumberColumn = (typeof NUMBER_COLUMNS)[number];

/** Columns of few values that a point may be coloured by. */
export const CATEGORY_COLUMNS = [
  "answer", "label", "predicted", "decision", "channel", "source", "bundle_version",
] as const;
export type CategoryColumn = (typeof CATEGORY_COLUMNS)[number];

/** In the column `answer`, in place of a label where the decision is not `known`. */
export const UNNAMED = "unknown class";
export const STRANGE = "out of distribution";

/** The map's points, a typed array for each column. */
export interface Points {
  version: string;
  labels: string[];
  count: number;
  ids: string[];
  /** x and y in turn, in units of the map. */
  positions: Float32Array<ArrayBuffer>;
  categories: Record<CategoryColumn, Category>;
  numbers: Record<NumberColumn, Float32Array | Float64Array>;
}

/** Reads the answer of /latent-map. */
export function readPoints(stream: ArrayBuffer): Points {
  const table = tableFromIPC(new Uint8Array(stream));
  const count = table.numRows;
  const metadata = table.schema.metadata;
  const labels = labelsOf(metadata?.get("labels"));
  const texts = (name: string): Iterable<string | null> => table.getChild(name) as Iterable<string | null>;
  const numbers = (name: string): ArrayLike<number> => table.getChild(name).toArray() as ArrayLike<number>;
  const decision = categoryOf(texts("decision"), count, DECISIONS);
  const predicted = categoryOf(texts("predicted"), count, labels);
  return {
    version: metadata?.get("bundle_version") ?? "",
    labels,
    count,
    ids: Array.from(table.getChild("point_id") as Iterable<string>),
    positions: interleaved(numbers("x"), numbers("y"), count),
    categories: {
      answer: answers(predicted, decision),
      label: categoryOf(texts("label"), count, labels),
      predicted,
      decision,
      channel: channels(numbers("channel"), count),
      source: categoryOf(texts("source"), count),
      bundle_version: categoryOf(texts("bundle_version"), count),
    },
    numbers: {
      total: Float32Array.from(numbers("total")),
      aleatoric: Float32Array.from(numbers("aleatoric")),
      epistemic: Float32Array.from(numbers("epistemic")),
      p_familiar: Float32Array.from(numbers("p_familiar")),
      p_owned: Float32Array.from(numbers("p_owned")),
      created: Float64Array.from(numbers("created"), (value) => value ?? Number.NaN),
    },
  };
}

export const DECISIONS: Decision[] = ["known", "unknown_class", "out_of_distribution"];

/** What the service answers in one word: the label where the decision is known. */
export function answers(predicted: Category, decision: Category): Category {
  const names = [...predicted.names, UNNAMED, STRANGE];
  const codes = predicted.codes.map((label, row) => {
    const judged = decision.codes[row];
    return judged === 1 ? names.length - 2 : judged === 2 ? names.length - 1 : label;
  });
  return { codes, names };
}

function channels(values: ArrayLike<number>, count: number): Category {
  let highest = -1;
  for (let row = 0; row < count; row++) highest = Math.max(highest, values[row]!);
  const codes = Uint16Array.from(values, (value) => (value < 0 ? NONE : value));
  return { codes, names: Array.from({ length: highest + 1 }, (_, channel) => String(channel)) };
}

function interleaved(x: ArrayLike<number>, y: ArrayLike<number>, count: number): Float32Array<ArrayBuffer> {
  const positions = new Float32Array(2 * count);
  for (let row = 0; row < count; row++) {
    positions[2 * row] = x[row]!;
    positions[2 * row + 1] = y[row]!;
  }
  return positions;
}

function labelsOf(json: string | undefined): string[] {
  if (!json) return [];
  try {
    const labels: unknown = JSON.parse(json);
    return Array.isArray(labels) ? labels.map(String) : [];
  } catch {
    return [];
  }
}
