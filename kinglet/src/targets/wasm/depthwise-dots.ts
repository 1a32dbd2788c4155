import { type Buffer, constant, type Expr, type KernelBuilder, vector, vectorLoad } from "../../loops/index.ts";
import { type LayerMath, SUMS } from "./layer.ts";
import { blockStarts } from "./tile.ts";

/** Taps of a filter column that one dot product takes, and channels of a block: two vectors of sums. */
const TAPS = 4;
export const DOT_WIDTH = 8;
/** Bytes that a load of eight channels reads too many. */
export const DOT_TAIL = 8;
/** Vectors of columns that stay in registers from one pixel to the next. */
const MOST_KEPT = 8;

/** The window of a depthwise layer, and how far apart its inputs lie. */
export interface Columns {
  readonly filterH: number;
  readonly filterW: number;
  readonly strideW: number;
  /** Elements from a tap to the one below, and to the next one in its row. */
  readonly below: number;
  readonly beside: number;
  /** Elements from a pixel to the next. */
  readonly pixel: number;
}

function groupsOf({ filterH }: Columns): number {
  return Math.ceil(filterH / TAPS);
}

/** Weights of one channel in a block's table. */
export function columnTaps(c: Columns): number {
  return c.filterW * groupsOf(c) * TAPS;
}

/** Weights [taps, channels] by block of channels, filter column, four of its taps, channel and tap; zeros where a column ends. */
export function packColumns(math: LayerMath, c: Columns, channels: number): Int8Array {
  const starts = blockStarts(channels, DOT_WIDTH);
  const packed = new Int8Array(starts.length * columnTaps(c) * DOT_WIDTH);
  let at = 0;
  for (const start of starts)
    for (let kx = 0; kx < c.filterW; kx++)
      for (let first = 0; first < groupsOf(c) * TAPS; first += TAPS)
        for (let channel = start; channel < start + DOT_WIDTH; channel++)
          for (let ky = first; ky < first + TAPS; ky++) packed[at++] = ky < c.filterH ? math.weights[(ky * c.filterW + kx) * channels + channel]! : 0;
  return packed;
}

/** The taps of a filter column, four of a channel side by side: for every group of four two vectors of four channels. */
function loadColumn(k: KernelBuilder, input: Buffer, at: Expr, c: Columns): Expr[] {
  const zero = constant(0, "i8x16");
  const row = (ky: number): Expr => (ky < c.filterH ? k.let("row", vectorLoad("i8x16", input, at.add(ky * c.below))) : zero);
  return Array.from({ length: groupsOf(c) }, (_, group) => {
    const [first, second, third, fourth] = [0, 1, 2, 3].map((tap) => row(group * TAPS + tap)) as [Expr, Expr, Expr, Expr];
    const pair = (a: Expr, b: Expr): Expr => k.let("pair", vector("i16x8.of_i8x16", [vector("i8x16.interleave_low", [a, b])]));
    const [upper, lower] = [pair(first, second), pair(third, fourth)];
    return (["i16x8.interleave_low", "i16x8.interleave_high"] as const).map((half) =>
      k.let("column", vector("i8x16.of_i16x8", [vector(half, [upper, lower])])),
    );
  }).flat();
}

/**
 * One row of results of eight channels. Neighbouring windows share columns: those stay in registers, so that a pixel
 * loads and sorts only the columns that are new to it.
 */
export function columnRow(
  k: KernelBuilder,
  math: LayerMath,
  c: Columns,
  { input, weights, window, weight, width }: { input: Buffer; weights: Buffer; window: Expr; weight: Expr; width: Expr },
  start: readonly Expr[],
  store: (sums: readonly Expr[], ox: Expr) => void,
): void {
  const vectors = 2 * groupsOf(c);
  const shared = c.beside === c.pixel ? Math.max(0, c.filterW - c.strideW) : 0;
  const kept = shared * vectors <= MOST_KEPT ? shared : 0;
  const loadAt = (first: Expr, column: number): Expr[] => loadColumn(k, input, first.add(column * c.beside), c);
  const old = Array.from({ length: kept }, (_, column) => loadAt(window, column).map((value) => k.variable("kept", value)));
  k.for("ox", 0, width, (ox) => {
    const first = window.add(ox.mul(k.int("step", c.strideW * c.pixel)));
    const sums = start.map((value) => k.variable("sum", value));
    const columns = Array.from({ length: c.filterW }, (_, column) =>
      column < kept ? old[column]!.map((variable) => variable.get()) : loadAt(first, column),
    );
    columns.flat().forEach((x, i) => {
      const w = vectorLoad("i8x16", weights, weight.add(i * SUMS * TAPS));
      sums[i % 2]!.set(math.multiplyAdd(sums[i % 2]!.get(), x, w));
    });
    store(
      sums.map((sum) => sum.get()),
      ox,
    );
    // In this order every column is read before it is overwritten.
    old.forEach((variables, column) => variables.forEach((variable, i) => variable.set(columns[column + c.strideW]![i]!)));
  });
}
