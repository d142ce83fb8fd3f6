import { useComputed, useSignal, useSignalEffect } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { type Camera, fitting, framing, panned, pinched, type Size, toMap, zoomed } from "../data/camera";
import { between } from "../data/morph";
import type { Place } from "../data/places";
import type { Combine } from "../data/selection";
import { choose, clearSelection, flight, morphFrom, painted, places, points, selection, visible } from "../state/map";
import { pending } from "../state/labelling";
import { labelNames } from "../state/service";
import { combining, hovered, theme, tool } from "../state/view";
import { drawingOf } from "./drawing";
import { HoverCard } from "./hover-card";
import { Marks } from "./marks";
import { Scene } from "./scene";

const MORPH_MILLISECONDS = 900;
const FLIGHT_MILLISECONDS = 500;
const REACH_PIXELS = 10;
/** Pixels on the right that the legend covers, where the map is wide enough to leave them free. */
const LEGEND_PIXELS = 228;

/** A drag that is under way. */
interface Drag {
  how: "pan" | "lasso" | "box";
  last: Place;
  outline: Place[];
  moved: number;
}

/** The points on a canvas: pan, zoom, hover, lasso and box. */
export function Map() {
  const frame = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const scene = useRef<Scene | null>(null);
  const size = useSignal<Size>({ width: 0, height: 0 });
  const camera = useSignal<Camera | null>(null);
  const home = useSignal<Camera | null>(null);
  const drag = useSignal<Drag | null>(null);
  const pointer = useSignal<Place>([0, 0]);
  const fingers = useRef(new globalThis.Map<number, Place>());
  const pinching = useRef(false);
  const positions = useSignal<Float32Array<ArrayBuffer> | null>(null);
  const zoomIn = useComputed(() =>
    camera.value && home.value ? Math.round(4 * (camera.value.zoom - home.value.zoom)) / 4 : 0,
  );

  useEffect(() => {
    const made = new Scene(canvas.current!, () => {
      if (points.value) performance.mark("map-drawn", { detail: points.value.count });
    });
    scene.current = made;
    const observer = new ResizeObserver(([entry]) => {
      size.value = { width: entry!.contentRect.width, height: entry!.contentRect.height };
    });
    observer.observe(frame.current!);
    return () => {
      observer.disconnect();
      made.end();
    };
  }, []);

  // Where the points are: at once, or on the way from where they were in the version before.
  useSignalEffect(() => {
    const shown = points.value;
    if (!shown) return;
    const from = morphFrom.peek();
    if (!from || matchMedia("(prefers-reduced-motion: reduce)").matches) {
      positions.value = shown.positions;
      return;
    }
    return animate(MORPH_MILLISECONDS, (share) => {
      positions.value = share === 1 ? shown.positions : between(from, shown.positions, share);
    });
  });

  // All is shown, in a frame of any size, until somebody moves; a later version keeps the view.
  useSignalEffect(() => {
    const shown = points.value;
    if (!shown || !size.value.width || camera.peek() !== home.peek()) return;
    home.value = fitting(size.value, shown.positions, coveredOf(size.value));
    camera.value = home.value;
  });

  useSignalEffect(() => {
    const to = flight.value;
    const from = camera.peek();
    if (!to || !from) return;
    flight.value = null;
    const goal = framing(size.peek(), to.centre, to.radius, coveredOf(size.peek()));
    animate(FLIGHT_MILLISECONDS, (share) => { camera.value = travelled(from, goal, share); });
  });

  useSignalEffect(() => {
    if (camera.value && size.value.width) scene.current?.look(camera.value);
  });

  useSignalEffect(() => {
    const [shown, paint, through, at] = [points.value, painted.value, visible.value, positions.value];
    if (!shown || !paint || !through || !at || at.length !== 2 * shown.count) return;
    scene.current?.draw(drawingOf({
      points: shown, paint, visible: through, selection: selection.value, pending: pending.value,
      theme: theme.value, labels: labelNames.value, zoomIn: zoomIn.value,
    }, at));
  });

  const placeOf = (event: MouseEvent): Place => {
    const box = frame.current!.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  const under = (pixel: Place): number | null => {
    if (!camera.value || !places.value) return null;
    const reach = REACH_PIXELS / 2 ** camera.value.zoom;
    return places.value.nearest(toMap(camera.value, size.value, pixel), reach, visible.value ?? undefined);
  };

  const pinch = (moving: number, at: Place): void => {
    const before = [...fingers.current].slice(0, 2);
    if (!fingers.current.has(moving)) return;
    fingers.current.set(moving, at);
    const after = before.map(([id]) => fingers.current.get(id)!);
    if (before.length < 2 || !camera.value) return;
    camera.value = pinched(camera.value, size.value, [before[0]![1], before[1]![1]], [after[0]!, after[1]!]);
  };
  const onPointerCancel = (event: PointerEvent): void => {
    drag.value = null;
    fingers.current.delete(event.pointerId);
    pinching.current = fingers.current.size > 0;
  };
  const onPointerDown = (event: PointerEvent): void => {
    if (event.button > 1 || !camera.value) return;
    // The first finger of all: what an earlier one left behind, whose end was never told, is gone.
    if (event.isPrimary) {
      fingers.current.clear();
      pinching.current = false;
    }
    fingers.current.set(event.pointerId, placeOf(event));
    // A second finger makes a pinch of whatever the first had begun.
    if (fingers.current.size > 1) {
      drag.value = null;
      pinching.current = true;
      return;
    }
    // The call of a group is clicked; only as a finger of a pinch it is part of the map.
    if ((event.target as Element).closest("button")) return;
    frame.current!.setPointerCapture(event.pointerId);
    const how = event.button === 1 ? "pan" : tool.value;
    const at = placeOf(event);
    drag.value = { how, last: at, outline: [at], moved: 0 };
    hovered.value = null;
  };
  const onPointerMove = (event: PointerEvent): void => {
    const at = placeOf(event);
    pointer.value = at;
    if (pinching.current) {
      pinch(event.pointerId, at);
      return;
    }
    const before = drag.value;
    if (!before) {
      hovered.value = under(at);
      return;
    }
    const [dx, dy] = [at[0] - before.last[0], at[1] - before.last[1]];
    if (before.how === "pan" && camera.value) camera.value = panned(camera.value, dx, dy);
    const outline = before.how === "lasso" ? [...before.outline, at] : [before.outline[0]!, at];
    drag.value = { ...before, last: at, outline, moved: before.moved + Math.hypot(dx, dy) };
  };
  const onPointerUp = (event: PointerEvent): void => {
    const done = drag.value;
    drag.value = null;
    fingers.current.delete(event.pointerId);
    if (pinching.current) {
      // What the last finger does on its way off the screen is no drag.
      pinching.current = fingers.current.size > 0;
      return;
    }
    if (!done || !camera.value || !places.value) return;
    const how = combineOf(event);
    if (done.moved < 4) {
      const row = under(placeOf(event));
      if (row !== null) choose([row], how);
      else if (how === "replace") clearSelection();
      return;
    }
    if (done.how === "pan") return;
    performance.mark("selecting");
    const outline = done.outline.map((pixel) => toMap(camera.value!, size.value, pixel));
    const rows = done.how === "box"
      ? places.value.inBox(outline[0]!, outline.at(-1)!)
      : places.value.inLasso(outline);
    choose(rows, how);
    performance.measure("selected", "selecting");
  };
  const onWheel = (event: WheelEvent): void => {
    event.preventDefault();
    if (camera.value) camera.value = zoomed(camera.value, size.value, placeOf(event), -event.deltaY * 0.0025);
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    if (!camera.value) return;
    const { width, height } = size.value;
    const middle: Place = [width / 2, height / 2];
    const moves: Record<string, () => Camera> = {
      ArrowLeft: () => panned(camera.value!, 60, 0),
      ArrowRight: () => panned(camera.value!, -60, 0),
      ArrowUp: () => panned(camera.value!, 0, 60),
      ArrowDown: () => panned(camera.value!, 0, -60),
      "+": () => zoomed(camera.value!, size.value, middle, 0.5),
      "=": () => zoomed(camera.value!, size.value, middle, 0.5),
      "-": () => zoomed(camera.value!, size.value, middle, -0.5),
      Home: () => home.value!,
    };
    const move = moves[event.key];
    if (!move || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    camera.value = move();
  };
  // Preact listens for the wheel passively, which cannot keep the page from scrolling.
  useEffect(() => {
    const element = frame.current!;
    element.addEventListener("wheel", onWheel, { passive: false });
    return () => element.removeEventListener("wheel", onWheel);
  }, []);

  const closer = (by: number): void => {
    const { width, height } = size.value;
    if (camera.value) camera.value = zoomed(camera.value, size.value, [width / 2, height / 2], by);
  };

  return (
    <div
      ref={frame}
      class={`map tool-${tool.value}${drag.value ? " dragging" : ""}`}
      role="application"
      aria-roledescription="map of inputs"
      aria-label={`Map of ${points.value?.count ?? 0} inputs. Arrow keys move, plus and minus zoom, Home shows all.`}
      tabIndex={0}
      data-points={points.value?.count}
      data-camera={camera.value ? [...camera.value.centre, camera.value.zoom].join(" ") : undefined}
      onPointerDown={onPointerDown}
      onPointerMove={onPointerMove}
      onPointerUp={onPointerUp}
      onPointerLeave={() => { hovered.value = null; }}
      onPointerCancel={onPointerCancel}
      onKeyDown={onKeyDown}
    >
      <canvas ref={canvas} id="map-canvas" aria-hidden="true" />
      {camera.value && <Marks camera={camera.value} size={size.value} />}
      {drag.value && drag.value.how !== "pan" && <Outline drag={drag.value} />}
      {!drag.value && camera.value && <HoverCard camera={camera.value} size={size.value} pointer={pointer.value} />}
      <div class="zoom" onPointerDown={(event) => event.stopPropagation()}>
        <button type="button" aria-label="Zoom in" onClick={() => closer(0.75)}>+</button>
        <button type="button" aria-label="Zoom out" onClick={() => closer(-0.75)}>−</button>
        <button type="button" aria-label="Show all" onClick={() => {
          if (points.value) camera.value = home.value = fitting(size.value, points.value.positions, coveredOf(size.value));
        }}>⤢</button>
      </div>
    </div>
  );
}

function Outline({ drag }: { drag: Drag }) {
  const [a, b] = [drag.outline[0]!, drag.outline.at(-1)!];
  return (
    <svg class="outline" aria-hidden="true">
      {drag.how === "box"
        ? <rect x={Math.min(a[0], b[0])} y={Math.min(a[1], b[1])} width={Math.abs(a[0] - b[0])} height={Math.abs(a[1] - b[1])} />
        : <polygon points={drag.outline.map((place) => place.join(",")).join(" ")} />}
    </svg>
  );
}

function coveredOf(size: Size): number {
  return size.width > 700 ? LEGEND_PIXELS : 0;
}

function combineOf(event: MouseEvent): Combine {
  return event.altKey ? "subtract" : event.shiftKey || event.ctrlKey || event.metaKey ? "add" : combining.value;
}

function travelled(from: Camera, to: Camera, share: number): Camera {
  const eased = share * share * (3 - 2 * share);
  const at = (a: number, b: number): number => a + (b - a) * eased;
  return {
    centre: [at(from.centre[0], to.centre[0]), at(from.centre[1], to.centre[1])],
    zoom: at(from.zoom, to.zoom),
  };
}

/** Calls `step` with the share of the time that has passed, each frame until 1; returns how to stop. */
function animate(milliseconds: number, step: (share: number) => void): () => void {
  const start = performance.now();
  let handle = 0;
  const next = (): void => {
    const share = Math.min(1, (performance.now() - start) / milliseconds);
    step(share);
    if (share < 1) handle = requestAnimationFrame(next);
  };
  next();
  return () => cancelAnimationFrame(handle);
}
