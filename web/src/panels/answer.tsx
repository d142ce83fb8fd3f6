import { useEffect, useRef } from "preact/hooks";
import { type Pixels, rgbaOf } from "../data/pixels";
import { percent, short } from "../parts/format";
import { Term } from "../parts/term";
import { featureName } from "../parts/values";
import { labelInput } from "../state/labelling";
import { bundle } from "../state/service";
import type { Decoding, Trial } from "../state/trial";
import { Namer } from "./label";

/** The answer to an input that was tried: label or decision, probabilities, p-values. */
export function Answer({ trial: { prediction } }: { trial: Trial }) {
  const { decision, p_familiar, p_owned } = prediction.ood;
  const best = Object.entries(prediction.probabilities ?? {}).sort((a, b) => b[1] - a[1]).slice(0, 5);
  return (
    <div class="answer" aria-live="polite">
      <p class={`verdict ${decision}`}>{decision === "known" ? prediction.label : decision.replaceAll("_", " ")}</p>
      <table class="bars named"><tbody>
        {best.map(([label, share]) => (
          <tr key={label}><th scope="row">{label}</th>
            <td><span class="bar" style={{ width: `${100 * share}%` }} /><span>{percent(share)}</span></td></tr>
        ))}
      </tbody></table>
      <dl class="facts">
        <dt><Term word="p familiar" /></dt><dd>{short(p_familiar)}</dd><dt><Term word="p owned" /></dt><dd>{short(p_owned)}</dd>
        <dt><Term word="Prediction set" /></dt><dd>{prediction.prediction_set?.join(", ") || "none"}</dd>
      </dl>
    </div>
  );
}

const PARTS = [
  ["aleatoric", "the label itself"], ["channel_ambiguity", "the channel"], ["label_map_ignorance", "what the labels say"],
] as const;

/** What it is unsure about, what the decoder makes of it, and what to say where it is wrong. */
export function Details({ trial: { picture, row, prediction, decodings } }: { trial: Trial }) {
  const parts = prediction.uncertainty;
  const total = Math.max(parts?.total ?? 0, 1e-9);
  return (
    <>
      {picture ? <PicturesDecoded picture={picture} decodings={decodings} /> : <ValuesDecoded row={row} decodings={decodings} />}
      {parts && (
        <table class="bars named">
          <caption><Term word="Uncertainty" text="Unsure about" />: {short(parts.total)} nats</caption>
          <tbody>{PARTS.map(([part, name]) => (
            <tr key={part}><th scope="row">{name}</th>
              <td><span class="bar" style={{ width: `${(100 * Math.max(0, parts[part])) / total}%` }} /><span>{short(parts[part])}</span></td></tr>
          ))}</tbody>
        </table>
      )}
      {prediction.sampled && <p class="hint">
        Of variants of this input that it made up itself it is unsure by {prediction.sampled.total.toFixed(3)} nats, {prediction.sampled.mutual_information.toFixed(3)} of them because they differ.
      </p>}
      <Namer question="Wrong? What is it?" onName={(label) => void labelInput({ prediction_id: prediction.prediction_id, label })} />
    </>
  );
}

/** The input, and for each channel that takes part in it what it decodes to. */
function PicturesDecoded({ picture, decodings }: { picture: Pixels; decodings: Decoding[] }) {
  const { low, high } = bundle.value!.input;
  return (
    <div class="decodings">
      <figure><Raster pixels={picture} /><figcaption>input</figcaption></figure>
      {decodings.map((one) => {
        const seen = { ...picture, values: Float32Array.from(one.values, (value) => (value - low) / (high - low || 1)) };
        const off = { ...picture, values: picture.values.map((value, i) => Math.abs(value - seen.values[i]!)) };
        return (
          <>
            <figure><Raster pixels={seen} /><figcaption>channel {one.channel}, {percent(one.responsibility, 0)}</figcaption></figure>
            <figure><Raster pixels={off} /><figcaption>difference</figcaption></figure>
            {one.sigma && <figure><Raster pixels={{ ...picture, values: Float32Array.from(one.sigma, (value) => 2 * value) }} /><figcaption>unsure about</figcaption></figure>}
          </>
        );
      })}
    </div>
  );
}

/** Sigmas between a value and what is decoded that make its row stand out. */
const FAR = 2;

/** The values beside what the best channel decodes, with its sigma where there is one. */
function ValuesDecoded({ row, decodings }: { row: number[]; decodings: Decoding[] }) {
  const [best, ...others] = decodings;
  if (!best) return null;
  return (
    <div class="values-table tall" tabIndex={0} role="region" aria-label="Values and what is decoded">
      <table class="compared">
        <thead><tr><th scope="col">value</th><th scope="col">input</th><th scope="col">as channel {best.channel} ({percent(best.responsibility, 0)})</th></tr></thead>
        <tbody>
          {row.map((value, i) => {
            const sigma = best.sigma?.[i];
            const isFar = sigma !== undefined && Math.abs(value - best.values[i]!) > FAR * sigma;
            return (
              <tr key={i} class={isFar ? "moved" : ""}><th scope="row">{featureName(i)}</th><td>{short(value)}</td>
                <td>{short(best.values[i])}{sigma !== undefined && ` ± ${short(sigma)}`}</td></tr>
            );
          })}
        </tbody>
      </table>
      {best.sigma && <p class="hint">Bold: further than {FAR} sigma from what channel {best.channel} decodes.</p>}
      {others.length > 0 && <p class="hint">Also channel {others.map((one) => `${one.channel}, ${percent(one.responsibility, 0)}`).join("; ")}</p>}
    </div>
  );
}

function Raster({ pixels }: { pixels: Pixels }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    const image = new ImageData(rgbaOf(pixels), pixels.width, pixels.height);
    canvas.current!.getContext("2d")!.putImageData(image, 0, 0);
  }, [pixels]);
  return <canvas ref={canvas} class="picture" width={pixels.width} height={pixels.height} aria-hidden="true" />;
}
