import { Deck, type Layer, OrthographicView } from "@deck.gl/core";
import type { Camera } from "../data/camera";
import { Discs } from "./discs";

/** Points as the graphics card takes them. */
export interface Drawing {
  positions: Float32Array;
  /** Red, green, blue, alpha for each point. */
  fill: Uint8Array;
  radius: number;
  /** Rows drawn once more on top, larger and with a ring. */
  raised: Raised | null;
}

export interface Raised {
  rows: number[];
  fill: Uint8Array;
  line: Uint8Array;
  radii: Float32Array;
}

/** The canvas of the map, drawn by deck.gl.
 *
 * What is under the pointer is answered by an index in memory (places.ts): reading pixels back from the
 * graphics card, deck.gl's own way, waits for a frame.
 */
export class Scene {
  private readonly deck: Deck<OrthographicView>;

  constructor(canvas: HTMLCanvasElement, onFrame: () => void) {
    this.deck = new Deck({
      canvas,
      // The discs' edges are smoothed by their shader; four samples a pixel would only cost.
      deviceProps: { type: "webgl", webgl: { antialias: false } },
      width: "100%",
      height: "100%",
      views: new OrthographicView({ id: "map", flipY: false }),
      viewState: viewStateOf({ centre: [0, 0], zoom: 0 }),
      controller: false,
      layers: [],
      onAfterRender: onFrame,
      // deck.gl makes the canvas a stop of the Tab key; the frame around it is the one that takes keys.
      onLoad: () => { canvas.tabIndex = -1; },
    });
  }

  look(camera: Camera): void {
    this.deck.setProps({ viewState: viewStateOf(camera) });
  }

  draw(drawing: Drawing): void {
    this.deck.setProps({ layers: layersOf(drawing) });
  }

  end(): void {
    this.deck.finalize();
  }
}

/** Whether this browser can draw the map. */
export function canDraw(): boolean {
  return document.createElement("canvas").getContext("webgl2") !== null;
}

function viewStateOf(camera: Camera): { target: [number, number, number]; zoom: number } {
  return { target: [camera.centre[0], camera.centre[1], 0], zoom: camera.zoom };
}

function layersOf(drawing: Drawing): Layer[] {
  const base = new Discs({
    id: "points",
    data: {
      length: drawing.positions.length / 2,
      attributes: {
        getPosition: { value: drawing.positions, size: 2 },
        getFill: { value: drawing.fill, size: 4, normalized: true },
        getRing: { value: drawing.fill, size: 4, normalized: true },
        getScale: { value: ones(drawing.positions.length / 2), size: 1 },
      },
    },
    radius: drawing.radius,
    ring: 0,
  });
  return drawing.raised ? [base, raisedLayer(drawing.positions, drawing.raised)] : [base];
}

function raisedLayer(positions: Float32Array, raised: Raised): Layer {
  const own = new Float32Array(2 * raised.rows.length);
  raised.rows.forEach((row, i) => {
    own[2 * i] = positions[2 * row]!;
    own[2 * i + 1] = positions[2 * row + 1]!;
  });
  return new Discs({
    id: "raised",
    data: {
      length: raised.rows.length,
      attributes: {
        getPosition: { value: own, size: 2 },
        getFill: { value: raised.fill, size: 4, normalized: true },
        getRing: { value: raised.line, size: 4, normalized: true },
        getScale: { value: raised.radii, size: 1 },
      },
    },
    radius: 1,
    ring: 1.5,
  });
}

let kept = new Float32Array(0);

function ones(count: number): Float32Array {
  if (kept.length !== count) kept = new Float32Array(count).fill(1);
  return kept;
}
