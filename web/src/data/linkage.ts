/** Rows that chains of steps of at most `reach` connect, each group in ascending order.
 *
 * `positions` has x and y in turn. The plane is cut into squares whose diagonal is the reach, so that what lies in one
 * belongs together unasked; pairs are measured only between squares, and only until two are found to be connected.
 * A crowd of n points costs little more than n.
 */
export function linked(positions: Float32Array, reach: number): number[][] {
  const squares = squaresOf(positions, reach / Math.SQRT2);
  const all = [...squares.values()];
  const leaders = Int32Array.from(all, (_, i) => i);
  for (const square of all) {
    for (const other of neighbours(squares, square)) {
      const [a, b] = [leaderOf(leaders, square.index), leaderOf(leaders, other.index)];
      if (a !== b && isNear(positions, square.rows, other.rows, reach)) leaders[b] = a;
    }
  }
  const groups = new Map<number, number[]>();
  for (const square of all) {
    const leader = leaderOf(leaders, square.index);
    const group = groups.get(leader);
    if (group) for (const row of square.rows) group.push(row);
    else groups.set(leader, square.rows);
  }
  return [...groups.values()].map((rows) => rows.sort((a, b) => a - b));
}

interface Square {
  index: number;
  column: number;
  row: number;
  rows: number[];
}

function squaresOf(positions: Float32Array, side: number): Map<string, Square> {
  const squares = new Map<string, Square>();
  for (let i = 0; i < positions.length / 2; i++) {
    const [column, row] = [Math.floor(positions[2 * i]! / side), Math.floor(positions[2 * i + 1]! / side)];
    const name = `${column} ${row}`;
    const square = squares.get(name);
    if (square) square.rows.push(i);
    else squares.set(name, { index: squares.size, column, row, rows: [i] });
  }
  return squares;
}

/** Squares that hold points within reach, each pair once. */
function neighbours(squares: ReadonlyMap<string, Square>, { column, row }: Square): Square[] {
  const found: Square[] = [];
  for (let dx = 0; dx <= 2; dx++) {
    for (let dy = dx === 0 ? 1 : -2; dy <= 2; dy++) {
      const other = squares.get(`${column + dx} ${row + dy}`);
      if (other) found.push(other);
    }
  }
  return found;
}

function isNear(positions: Float32Array, some: readonly number[], others: readonly number[], reach: number): boolean {
  for (const i of some) {
    for (const j of others) {
      if (Math.hypot(positions[2 * i]! - positions[2 * j]!, positions[2 * i + 1]! - positions[2 * j + 1]!) <= reach) return true;
    }
  }
  return false;
}

function leaderOf(leaders: Int32Array, index: number): number {
  let at = index;
  while (leaders[at] !== at) {
    leaders[at] = leaders[leaders[at]!]!;
    at = leaders[at]!;
  }
  return at;
}
