import type { Place } from "./places";

/** What is seen: the place in the middle, and how many pixels are one unit as a power of two. */
export interface Camera {
  centre: Place;
  zoom: number;
}

export interface Size {
  width: number;
  height: number;
}

const CLOSEST = 14;
const FARTHEST = -10;

/** Pixels from the upper left corner; y of the map points up, y of the screen down. */
export function toScreen(camera: Camera, size: Size, place: Place): Place {
  const scale = 2 ** camera.zoom;
  return [
    size.width / 2 + (place[0] - camera.centre[0]) * scale,
    size.height / 2 - (place[1] - camera.centre[1]) * scale,
  ];
}

export function toMap(camera: Camera, size: Size, pixel: Place): Place {
  const scale = 2 ** camera.zoom;
  return [
    camera.centre[0] + (pixel[0] - size.width / 2) / scale,
    camera.centre[1] - (pixel[1] - size.height / 2) / scale,
  ];
}

/** The camera moved so that what was at one pixel is at another. */
export function panned(camera: Camera, dx: number, dy: number): Camera {
  const scale = 2 ** camera.zoom;
  return { ...camera, centre: [camera.centre[0] - dx / scale, camera.centre[1] + dy / scale] };
}

/** Closer or farther by a power of two, with the place under a pixel kept where it is. */
export function zoomed(camera: Camera, size: Size, pixel: Place, by: number): Camera {
  const zoom = Math.min(CLOSEST, Math.max(FARTHEST, camera.zoom + by));
  const fixed = toMap(camera, size, pixel);
  const moved = toMap({ ...camera, zoom }, size, pixel);
  return {
    zoom,
    centre: [camera.centre[0] + fixed[0] - moved[0], camera.centre[1] + fixed[1] - moved[1]],
  };
}

/** Two fingers that move: the place between them stays between them, and their distance sets the zoom. */
export function pinched(camera: Camera, size: Size, before: readonly [Place, Place], after: readonly [Place, Place]): Camera {
  const [from, to] = [between(before), between(after)];
  const by = Math.log2(Math.max(1, distance(after)) / Math.max(1, distance(before)));
  return zoomed(panned(camera, to[0] - from[0], to[1] - from[1]), size, to, by);
}

function between([a, b]: readonly [Place, Place]): Place {
  return [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2];
}

function distance([a, b]: readonly [Place, Place]): number {
  return Math.hypot(a[0] - b[0], a[1] - b[1]);
}

/** The camera that shows a square around a place, left of what is covered. */
export function framing(size: Size, centre: Place, radius: number, covered = 0): Camera {
  const pixels = Math.max(50, Math.min(size.width - covered, size.height)) / 2;
  const zoom = Math.min(CLOSEST, Math.log2(pixels / Math.max(radius, 1e-6)));
  return { centre: [centre[0] + covered / 2 / 2 ** zoom, centre[1]], zoom };
}

/** The camera that shows all but the outermost half per cent of the points on each side.
 *
 * `covered` pixels on the right stay free, for what lies over the map there.
 */
export function fitting(size: Size, positions: Float32Array, covered = 0): Camera {
  const count = positions.length / 2;
  if (!count || !size.width || !size.height) return { centre: [0, 0], zoom: 5 };
  const stride = Math.max(1, Math.floor(count / 5000));
  const ends = [0, 1].map((axis) => {
    const drawn: number[] = [];
    for (let row = 0; row < count; row += stride) drawn.push(positions[2 * row + axis]!);
    drawn.sort((a, b) => a - b);
    const cut = Math.floor(0.005 * (drawn.length - 1));
    return [drawn[cut]!, drawn[drawn.length - 1 - cut]!] as const;
  }) as [readonly [number, number], readonly [number, number]];
  const [x, y] = ends;
  const scale = Math.min(
    (0.88 * (size.width - covered)) / Math.max(x[1] - x[0], 1e-6),
    (0.84 * size.height) / Math.max(y[1] - y[0], 1e-6),
  );
  const zoom = Math.min(CLOSEST, Math.max(FARTHEST, Math.log2(scale)));
  return { centre: [(x[0] + x[1]) / 2 + covered / 2 / 2 ** zoom, (y[0] + y[1]) / 2], zoom };
}
