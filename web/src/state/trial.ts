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

export interface Trial {
  input: Pixels;
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

/** An input that was drawn or dropped here, and all that the service says of it. */
export const trial = signal<Trial | null>(null);

export function tryInput(pixels: Pixels): Promise<void> {
  return attempt(async () => {
    const { low, high } = bundle.value!.input;
    const row = Array.from(pixels.values, (value) => low + (high - low) * value);
    const [answer, decodings] = await Promise.all([
      postJson<PredictAnswer>("predict", { inputs: [row], samples: DRAWS }),
      decode(row),
    ]);
    trial.value = { input: pixels, prediction: answer.predictions[0]!, decodings };
  });
}

async function decode(row: number[]): Promise<Decoding[]> {
  const answer = await postJson<ReconstructAnswer>(`reconstruct?channels=${CHANNELS}`, { inputs: [row] });
  return answer.reconstructions[0]!
    .filter((one, rank) => rank === 0 || one.responsibility > LEAST)
    .map((one) => ({ ...one, values: flatten(one.values), sigma: one.sigma === null ? null : flatten(one.sigma) }));
}
