import { signal } from "@preact/signals";
import { Problem } from "../api/problem";
import { postJson } from "../api/request";
import type { PredictAnswer, Prediction } from "../api/shapes";
import { flatten, type Pixels } from "../data/pixels";
import { attempt } from "./notices";
import { bundle } from "./service";

/** What the decoder makes of an input by one channel. */
export interface Decoding {
  channel: number;
  responsibility: number | null;
  values: number[];
  sigma: number[] | null;
}

export interface Trial {
  input: Pixels;
  prediction: Prediction;
  decodings: Decoding[];
}

interface ReconstructAnswer {
  reconstructions: {
    channels: { channel: number; responsibility?: number; reconstruction: unknown; sigma?: unknown }[];
  }[];
}

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
  try {
    const answer = await postJson<ReconstructAnswer>("reconstruct", { inputs: [row] });
    return answer.reconstructions[0]!.channels.map((one) => ({
      channel: one.channel,
      responsibility: one.responsibility ?? null,
      values: flatten(one.reconstruction as number[]),
      sigma: one.sigma ? flatten(one.sigma as number[]) : null,
    }));
  } catch (error) {
    if (error instanceof Problem && error.status === 404) return [];
    throw error;
  }
}
