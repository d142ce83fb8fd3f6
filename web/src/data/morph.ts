/** Where the points of a new map were on the old one; a point that is new starts where it will be. */
export function startsOf(
  oldIds: string[], oldPositions: Float32Array, newIds: string[], newPositions: Float32Array,
): Float32Array<ArrayBuffer> {
  const rows = new Map(oldIds.map((id, row) => [id, row]));
  const starts = new Float32Array(newPositions);
  newIds.forEach((id, row) => {
    const old = rows.get(id);
    if (old === undefined) return;
    starts[2 * row] = oldPositions[2 * old]!;
    starts[2 * row + 1] = oldPositions[2 * old + 1]!;
  });
  return starts;
}

/** Positions on the way, at a share in [0, 1] of the time; slow at both ends. */
export function between(from: Float32Array, to: Float32Array, share: number): Float32Array<ArrayBuffer> {
  const eased = share * share * (3 - 2 * share);
  const positions = new Float32Array(to.length);
  for (let i = 0; i < to.length; i++) positions[i] = from[i]! + (to[i]! - from[i]!) * eased;
  return positions;
}
