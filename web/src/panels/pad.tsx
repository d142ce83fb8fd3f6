import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { pictureShape, shrunk } from "../data/pixels";
import { notify } from "../state/notices";
import { bundle } from "../state/service";
import { clearTrial, tryPicture } from "../state/trial";

const SIDE = 196;
const STROKE = 0.11;

/** A picture is drawn here, dropped or opened; beside it stands what is said of it. */
export function Pad({ children }: { children: ComponentChildren }) {
  const pad = useRef<HTMLCanvasElement>(null);
  const drawing = useSignal(false);
  const shape = pictureShape(bundle.value?.input.shape ?? []);

  const context = (): CanvasRenderingContext2D => pad.current!.getContext("2d", { willReadFrequently: true })!;
  const clear = (): void => {
    context().fillStyle = "black";
    context().fillRect(0, 0, SIDE, SIDE);
    clearTrial();
  };
  useEffect(clear, []);
  const send = (): void => {
    if (!shape) return;
    const { data } = context().getImageData(0, 0, SIDE, SIDE);
    void tryPicture(shrunk(data, { width: SIDE, height: SIDE }, shape));
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
    <div class="pad-row" onDragOver={(event) => event.preventDefault()}
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
      {children}
    </div>
  );
}
