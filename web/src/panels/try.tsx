import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { type Pixels, pictureShape, rgbaOf, shrunk } from "../data/pixels";
import { percent, short } from "../parts/format";
import { labelInput } from "../state/labelling";
import { notify } from "../state/notices";
import { bundle } from "../state/service";
import { type Trial, trial, tryInput } from "../state/trial";
import { Namer } from "./label";

const SIDE = 196;
const STROKE = 0.11;

/** Draw an input or drop a picture, and see the whole answer. */
export function Try() {
  const pad = useRef<HTMLCanvasElement>(null);
  const drawing = useSignal(false);
  const shape = pictureShape(bundle.value?.input.shape ?? []);

  const context = (): CanvasRenderingContext2D => pad.current!.getContext("2d", { willReadFrequently: true })!;
  const clear = (): void => {
    context().fillStyle = "black";
    context().fillRect(0, 0, SIDE, SIDE);
    trial.value = null;
  };
  useEffect(clear, []);
  const send = (): void => {
    if (!shape) return;
    const { data } = context().getImageData(0, 0, SIDE, SIDE);
    void tryInput(shrunk(data, { width: SIDE, height: SIDE }, shape));
  };
  const stroke = (event: PointerEvent): void => {
    if (!drawing.value) return;
    const box = pad.current!.getBoundingClientRect();
    const at = [((event.clientX - box.left) * SIDE) / box.width, ((event.clientY - box.top) * SIDE) / box.height] as const;
    const ink = context();
    ink.lineTo(...at);
    ink.strokeStyle = "white";
    ink.lineWidth = STROKE * SIDE;
    ink.lineCap = ink.lineJoin = "round";
    ink.stroke();
  };
  const begin = (event: PointerEvent): void => {
    pad.current!.setPointerCapture(event.pointerId);
    drawing.value = true;
    context().beginPath();
    stroke(event);
  };
  const end = (): void => {
    if (!drawing.value) return;
    drawing.value = false;
    send();
  };
  const show = async (file: Blob | undefined): Promise<void> => {
    if (!file) return;
    const image = await createImageBitmap(file).catch(() => null);
    if (!image) {
      notify("The browser reads no picture from this file.", "bad");
      return;
    }
    context().fillStyle = "black";
    context().fillRect(0, 0, SIDE, SIDE);
    const scale = Math.min(SIDE / image.width, SIDE / image.height);
    const [width, height] = [image.width * scale, image.height * scale];
    // A small picture keeps its own pixels.
    context().imageSmoothingEnabled = scale < 1;
    context().drawImage(image, (SIDE - width) / 2, (SIDE - height) / 2, width, height);
    send();
  };

  return (
    <section aria-label="Try an input" class="try">
      <h2>Try it</h2>
      <div class="pad-row"
        onDragOver={(event) => event.preventDefault()}
        onDrop={(event) => { event.preventDefault(); void show(event.dataTransfer?.files[0]); }}>
        <div class="pad">
          <canvas ref={pad} width={SIDE} height={SIDE} aria-label="Draw an input with the pointer" role="img"
            onPointerDown={begin} onPointerMove={stroke} onPointerUp={end} onPointerCancel={end} />
          <div class="row">
            <button type="button" onClick={clear}>Clear</button>
            <label class="button">Open a picture
              <input type="file" accept="image/*" class="hidden-file" onChange={(event) => void show(event.currentTarget.files?.[0])} />
            </label>
          </div>
        </div>
        {trial.value ? <Answer trial={trial.value} /> : <p class="hint">Draw here, or drop a picture: bright on dark, as the training inputs are.</p>}
      </div>
      {trial.value && <Details trial={trial.value} />}
    </section>
  );
}

function Answer({ trial: { prediction } }: { trial: Trial }) {
  const { decision, p_familiar, p_owned } = prediction.ood;
  const best = Object.entries(prediction.probabilities ?? {}).sort((a, b) => b[1] - a[1]).slice(0, 5);
  return (
    <div class="answer" aria-live="polite">
      <p class={`verdict ${decision}`}>{decision === "known" ? prediction.label : decision.replaceAll("_", " ")}</p>
      <table class="bars"><tbody>
        {best.map(([label, share]) => (
          <tr key={label}><th scope="row">{label}</th>
            <td><span class="bar" style={{ width: `${100 * share}%` }} /><span>{percent(share)}</span></td></tr>
        ))}
      </tbody></table>
      <dl class="facts">
        <dt>p familiar</dt><dd>{short(p_familiar)}</dd><dt>p owned</dt><dd>{short(p_owned)}</dd>
        <dt>Set</dt><dd>{prediction.prediction_set?.join(", ") || "none"}</dd>
      </dl>
    </div>
  );
}

const PARTS = [
  ["aleatoric", "the label itself"], ["channel_ambiguity", "the channel"], ["label_map_ignorance", "what the labels say"],
] as const;

function Details({ trial: { input, prediction, decodings } }: { trial: Trial }) {
  const parts = prediction.uncertainty;
  const total = Math.max(parts?.total ?? 0, 1e-9);
  const { low, high } = bundle.value!.input;
  return (
    <>
      <div class="decodings">
        <figure><Raster pixels={input} /><figcaption>input</figcaption></figure>
        {decodings.slice(0, 3).map((one) => {
          const seen = { ...input, values: Float32Array.from(one.values, (value) => (value - low) / (high - low || 1)) };
          const off = { ...input, values: input.values.map((value, i) => Math.abs(value - seen.values[i]!)) };
          return (
            <>
              <figure><Raster pixels={seen} /><figcaption>channel {one.channel}, {percent(one.responsibility, 0)}</figcaption></figure>
              <figure><Raster pixels={off} /><figcaption>difference</figcaption></figure>
              {one.sigma && <figure><Raster pixels={{ ...input, values: Float32Array.from(one.sigma, (value) => 2 * value) }} /><figcaption>unsure about</figcaption></figure>}
            </>
          );
        })}
      </div>
      {parts && (
        <table class="bars">
          <caption>Unsure about: {short(parts.total)} nats</caption>
          <tbody>{PARTS.map(([part, name]) => (
            <tr key={part}><th scope="row">{name}</th>
              <td><span class="bar" style={{ width: `${(100 * Math.max(0, parts[part])) / total}%` }} /><span>{short(parts[part])}</span></td></tr>
          ))}</tbody>
        </table>
      )}
      {prediction.sampled && <p class="hint">From what it would draw itself: {short(prediction.sampled.total)} nats, of which {short(prediction.sampled.mutual_information)} are the model's.</p>}
      <Namer question="Wrong? What is it?" onName={(label) => void labelInput({ prediction_id: prediction.prediction_id, label })} />
    </>
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
