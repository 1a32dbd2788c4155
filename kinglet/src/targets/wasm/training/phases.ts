import type { Border } from "../../../loops/index.ts";
import type { WindowAttributes } from "../../../ops/index.ts";

/**
 * Along one edge, the inputs `offset`, `offset` + stride, …: those that the same filter elements reach. Input number i of them
 * gathers gradients i + start, i + start + 1, … with `taps`, in that order.
 */
export interface EdgePhase {
  readonly offset: number;
  /** How many such inputs there are. */
  readonly count: number;
  readonly taps: readonly number[];
  readonly start: number;
}

/** The inputs of a convolution that are reached alike, by rows and columns. */
export interface GradientPhase {
  readonly rows: EdgePhase;
  readonly columns: EdgePhase;
  /** Tells its parameters apart from those of the other phases. */
  readonly name: string;
}

/** Output o reads input o · stride − pad + tap; so input i = offset + n · stride meets tap t in output n + (offset + pad − t) / stride. */
function edgePhases(length: number, filter: number, stride: number, pad: number): EdgePhase[] {
  return Array.from({ length: Math.min(stride, length) }, (_, offset) => {
    const all = Array.from({ length: filter }, (_unused, tap) => tap).filter((tap) => (((offset + pad - tap) % stride) + stride) % stride === 0);
    const taps = all.reverse();
    return { offset, count: Math.ceil((length - offset) / stride), taps, start: taps.length === 0 ? 0 : (offset + pad - taps[0]!) / stride };
  });
}

/** @param dx the shape of the convolution's input. */
export function phasesOf(a: WindowAttributes, dx: readonly number[], w: readonly number[]): GradientPhase[] {
  const columns = edgePhases(dx[2]!, w[2]!, a.strideW, a.padLeft);
  return edgePhases(dx[1]!, w[1]!, a.strideH, a.padTop).flatMap((row, y) =>
    columns.map((column, x) => ({ rows: row, columns: column, name: y + x === 0 ? "" : `p${y}${x}_` })),
  );
}

/** The zeros around a gradient of the given shape that all phases can read. */
export function phaseBorder(phases: readonly GradientPhase[], dy: readonly number[]): Border {
  const most = (list: readonly number[]): number => Math.max(0, ...list);
  const used = phases.filter(({ rows, columns }) => rows.taps.length * columns.taps.length > 0);
  const before = (edge: EdgePhase): number => -edge.start;
  const after = (edge: EdgePhase, length: number): number => edge.count - 1 + edge.start + edge.taps.length - length;
  return {
    top: most(used.map(({ rows }) => before(rows))),
    bottom: most(used.map(({ rows }) => after(rows, dy[1]!))),
    left: most(used.map(({ columns }) => before(columns))),
    right: most(used.map(({ columns }) => after(columns, dy[2]!))),
  };
}
