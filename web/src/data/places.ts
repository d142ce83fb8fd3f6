import KDBush from "kdbush";

/** [x, y] in units of the map. */
export type Place = readonly [number, number];

/** Points by where they are: what is under the pointer, in a box, in a lasso. */
export class Places {
  private readonly tree: KDBush;

  constructor(
    private readonly positions: Float32Array,
    readonly count: number,
  ) {
    // KDBush refuses to be empty.
    this.tree = new KDBush(Math.max(1, count), 64, Float32Array);
    for (let row = 0; row < count; row++) this.tree.add(positions[2 * row]!, positions[2 * row + 1]!);
    if (!count) this.tree.add(Infinity, Infinity);
    this.tree.finish();
  }

  /** The row nearest to a place and within a distance, or null; `counted` leaves rows out. */
  nearest(place: Place, radius: number, counted?: Uint8Array): number | null {
    let best: number | null = null;
    let least = Infinity;
    for (const row of this.tree.within(place[0], place[1], radius)) {
      if (counted && !counted[row]) continue;
      const distance = (this.positions[2 * row]! - place[0]) ** 2 + (this.positions[2 * row + 1]! - place[1]) ** 2;
      if (distance < least) [best, least] = [row, distance];
    }
    return best;
  }

  within(place: Place, radius: number): number[] {
    return this.tree.within(place[0], place[1], radius);
  }

  inBox(a: Place, b: Place): number[] {
    return this.tree.range(
      Math.min(a[0], b[0]), Math.min(a[1], b[1]), Math.max(a[0], b[0]), Math.max(a[1], b[1]),
    );
  }

  inLasso(outline: readonly Place[]): number[] {
    if (outline.length < 3) return [];
    const xs = outline.map((place) => place[0]);
    const ys = outline.map((place) => place[1]);
    const box = this.inBox([Math.min(...xs), Math.min(...ys)], [Math.max(...xs), Math.max(...ys)]);
    return box.filter((row) => isInside(this.positions[2 * row]!, this.positions[2 * row + 1]!, outline));
  }
}

/** Whether a place lies inside a closed outline, by the even-odd rule. */
export function isInside(x: number, y: number, outline: readonly Place[]): boolean {
  let inside = false;
  for (let i = 0, j = outline.length - 1; i < outline.length; j = i++) {
    const [ax, ay] = outline[i]!;
    const [bx, by] = outline[j]!;
    if (ay > y !== by > y && x < ((bx - ax) * (y - ay)) / (by - ay) + ax) inside = !inside;
  }
  return inside;
}
