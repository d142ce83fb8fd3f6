import { signal } from "@preact/signals";
import { postJson } from "../api/request";
import type { Nested, PredictAnswer, Prediction } from "../api/shapes";
import { flatten, type Pixels } from "../data/pixels";
import { attempt } from "./notices";
import { bundle } from "./service";

/** What the decoder makes of an input by one channel. */
export interface Decoding {
  channel: number;
  responsibility: number;
  values: number[];
  sigma: number[] | null;
}

/** An input that was tried.
 *
 * `row`: as it was sent, flat and in the units of the inputs. `picture`: null where it is none.
 */
export interface Trial {
  row: number[];
  picture: Pixels | null;
  prediction: Prediction;
  decodings: Decoding[];
}

interface ReconstructAnswer {
  reconstructions: { channel: number; responsibility: number; values: Nested; sigma: Nested | null }[][];
}

const CHANNELS = 3;
/** Of a channel that is shown beside the best one. */
const LEAST = 0.01;
const DRAWS = 16;

/** An input that was drawn, dropped or typed here, and all that the service says of it. */
export const trial = signal<Trial | null>(null);

export function tryPicture(picture: Pixels): Promise<void> {
  const { low, high } = bundle.value!.input;
  return attempt(() => ask(Array.from(picture.values, (value) => low + (high - low) * value), picture));
}

export function tryValues(row: number[]): Promise<void> {
  return attempt(() => ask(row, null));
}

/** Lets go of what was tried, also of what is not answered yet. */
export function clearTrial(): void {
  newest++;
  trial.value = null;
}

let newest = 0;

async function ask(row: number[], picture: Pixels | null): Promise<void> {
  const request = ++newest;
  const [answer, decodings] = await Promise.all([
    postJson<PredictAnswer>("predict", { inputs: [row], samples: DRAWS }),
    decode(row),
  ]);
  // A second stroke may be answered before the first.
  if (request === newest) trial.value = { row, picture, prediction: answer.predictions[0]!, decodings };
}

async function decode(row: number[]): Promise<Decoding[]> {
  const answer = await postJson<ReconstructAnswer>(`reconstruct?channels=${CHANNELS}`, { inputs: [row] });
  return answer.reconstructions[0]!
    .filter((one, rank) => rank === 0 || one.responsibility > LEAST)
    .map((one) => ({ ...one, values: flatten(one.values), sigma: one.sigma === null ? null : flatten(one.sigma) }));
}
