import type { Node } from "../../graph/index.ts";
import { type Buffer, type Expr, helium, i32, type KernelBuilder, type KernelInstance, vectorLoad } from "../../loops/index.ts";
import {
  attributesOf,
  convMultipliers,
  denseMultipliers,
  inputOf,
  type MultiplierRule,
  outputOf,
  type Schedule,
  type WindowAttributes,
  windowSizes,
} from "../../ops/index.ts";
import { rowForm } from "./layer.ts";
import { packQuads, packRow, patchAt, rowShape, storeDots, type VectorDot } from "./mve-dot.ts";
import { planVectors, QUAD, VECTOR, type VectorPlan } from "./mve-layer.ts";
import { isPointwise } from "./pointwise.ts";
import { copyBytes, fillBytes } from "./mve-move.ts";

/** The layer's tables, and a patch for `rows` rows of `taps`. */
function dotOf(k: KernelBuilder, node: Node, plan: VectorPlan, taps: number, rows: number): VectorDot {
  const channels = inputOf(node, 1).shape[0]!;
  const shape = rowShape(taps);
  return {
    weights: k.constant("w", "i32", packQuads(plan.weights, channels, taps)),
    layer: plan.tables(k),
    shape,
    channels: k.int("out_c", channels),
    tail: channels % QUAD !== 0,
    patch: k.scratch("patch", "i8", rows * shape.blocks * VECTOR),
    rows,
  };
}

/** Places in pairs; the last of an odd number is done twice. */
function eachPair(k: KernelBuilder, name: string, count: Expr, odd: boolean, body: (pair: readonly [Expr, Expr]) => void): void {
  k.for(name, 0, count, (i) => body([i, odd ? k.let("second", i.add(1).min(count.sub(1))) : i.add(1)]), 2);
}

/** A 1x1 convolution or a fully connected layer: two rows at a time. */
function rowsKernel(node: Node, rule: MultiplierRule): ((k: KernelBuilder) => KernelInstance) | undefined {
  const [w, y] = [inputOf(node, 1), outputOf(node)];
  const plan = planVectors(node, rule, rowForm(node, QUAD));
  if (plan === undefined) return undefined;
  const taps = w.shape[w.shape.length - 1]!;
  const rows = y.shape.reduce((p, d) => p * d, 1) / w.shape[0]!;
  return (k) => {
    const source = k.input(0, "x");
    const dot = dotOf(k, node, plan, taps, Math.min(rows, 2));
    const output = k.output(0, "y");
    const depth = k.int("depth", taps);
    const some = (places: readonly Expr[]): void => {
      places.forEach((row, r) => packRow(k, dot, r, source, k.let("from", row.mul(depth)), taps));
      storeDots(
        k,
        dot,
        places.map((row, r) => k.let(`to${r}`, row.mul(dot.channels))),
        output,
      );
    };
    if (rows === 1) some([k.int("row", 0)]);
    else eachPair(k, "row", k.int("rows", rows), rows % 2 !== 0, some);
    return k.finish("rows_s8_mve", "Dot products of input rows with four output channels at a time.", { asWritten: true });
  };
}

/** The rows of input under one row of windows, with their padding, and the window that is worked on. */
interface WindowRows {
  readonly node: Node;
  readonly input: Buffer;
  readonly rows: Buffer;
  /** One window as a row of taps, where its rows are not whole vectors. */
  readonly window: Buffer | null;
  readonly sizes: ReturnType<typeof windowSizes>;
  /** Bytes from one of `rows` to the next, and of a window's row. */
  readonly pitch: Expr;
  readonly run: Expr;
  readonly runBytes: number;
  readonly filterH: number;
}

/** Columns that windows reach over, and those that the input brings. */
function paddedColumns(node: Node): number {
  const a = attributesOf<WindowAttributes>(node);
  const [x, w, y] = [inputOf(node, 0), inputOf(node, 1), outputOf(node)];
  return Math.max((y.shape[2]! - 1) * a.strideW + w.shape[2]!, a.padLeft + x.shape[2]!);
}

/** Copies the input rows of one output row; rows outside the input become the zero point, as the columns around already are. */
function fetchRows(k: KernelBuilder, r: WindowRows, n: Expr, y0: Expr, zero: Expr): void {
  const x = inputOf(r.node, 0).shape;
  const bytes = x[2]! * x[3]!;
  const length = k.int("in_row", bytes);
  const first = k.int("first_column", attributesOf<WindowAttributes>(r.node).padLeft * x[3]!);
  k.for("ky", 0, r.sizes.filterH, (ky) => {
    const iy = k.let("iy", y0.add(ky));
    const to = k.let("row_at", ky.mul(r.pitch).add(first));
    k.if(
      iy.ge(0).and(iy.lt(r.sizes.inH)),
      () => copyBytes(k, r.rows, to, r.input, k.let("row_from", n.mul(r.sizes.inH).add(iy).mul(length)), length, bytes),
      () => fillBytes(k, r.rows, to, zero, length, bytes),
    );
  });
}

/** Visits the vectors of a window: where they lie in `rows`, and which of its taps they start with. */
function eachWindowVector(k: KernelBuilder, r: WindowRows, from: Expr, visit: (source: Expr, tap: Expr) => void): void {
  const vectors = Math.ceil(r.runBytes / VECTOR);
  const row = (ky: Expr): void => {
    const [source, tap] = [k.let("tap_from", from.add(ky.mul(r.pitch))), k.let("tap", ky.mul(r.run))];
    const one = (i: Expr): void => visit(source.add(i), tap.add(i));
    if (vectors > MOST_UNROLLED) k.for("i", 0, r.run, one, VECTOR);
    else for (let v = 0; v < vectors; v++) one(i32(v * VECTOR));
  };
  if (r.filterH * vectors > 3 * MOST_UNROLLED) k.for("ky", 0, r.sizes.filterH, row);
  else for (let ky = 0; ky < r.filterH; ky++) row(i32(ky));
}

/** Vectors of a row of a window that are moved one by one, without a loop. */
const MOST_UNROLLED = 4;

/** Gathers the window at column `ox` into a row of the patch. */
function gatherWindow(k: KernelBuilder, r: WindowRows, dot: VectorDot, row: number, ox: Expr): void {
  const { window } = r;
  const from = k.let("window_from", ox.mul(k.int("step", attributesOf<WindowAttributes>(r.node).strideW * inputOf(r.node, 0).shape[3]!)));
  const load = (source: Expr): Expr => vectorLoad("i8x16", r.rows, source);
  if (window === null) return eachWindowVector(k, r, from, (source, tap) => k.storeVector(dot.patch, patchAt(dot, row, tap), load(source)));
  // Vectors run over the end of a window's row; the next one covers that.
  eachWindowVector(k, r, from, (source, tap) => k.storeVector(window, tap, load(source)));
  packRow(k, dot, row, window, k.int("start", 0), dot.shape.blocks * VECTOR);
}

/** A convolution with a window: the rows under a row of windows are fetched once, then two windows at a time. */
function windowKernel(node: Node): ((k: KernelBuilder) => KernelInstance) | undefined {
  const a = attributesOf<WindowAttributes>(node);
  const [x, w, y] = [inputOf(node, 0), inputOf(node, 1), outputOf(node)];
  const plan = planVectors(node, convMultipliers, rowForm(node, QUAD));
  if (plan === undefined || (a.dilationW ?? 1) !== 1 || (a.dilationH ?? 1) !== 1) return undefined;
  const [filterH, filterW, inC] = [w.shape[1]!, w.shape[2]!, w.shape[3]!];
  const [runBytes, pitchBytes] = [filterW * inC, paddedColumns(node) * inC];
  return (k) => {
    const input = k.input(0, "x");
    const dot = dotOf(k, node, plan, filterH * runBytes, y.shape[2] === 1 ? 1 : 2);
    const output = k.output(0, "y");
    const sizes = windowSizes(k, x, y, filterH, filterW);
    const rowsLength = filterH * pitchBytes + VECTOR;
    const r: WindowRows = {
      node,
      input,
      rows: k.scratch("rows", "i8", rowsLength),
      window: runBytes % VECTOR === 0 ? null : k.scratch("window", "i8", dot.shape.blocks * VECTOR + VECTOR),
      sizes,
      pitch: k.int("pitch", pitchBytes),
      run: k.int("run", runBytes),
      runBytes,
      filterH,
    };
    const zero = k.let("zero", helium("bytes", k.int("input_zero_point", x.quantization!.zeroPoints[0]!)));
    fillBytes(k, r.rows, k.int("start", 0), zero, k.int("rows_length", rowsLength), rowsLength);
    k.for("n", 0, sizes.batches, (n) =>
      k.for("oy", 0, sizes.outH, (oy) => {
        fetchRows(k, r, n, k.let("y0", oy.mul(k.int("stride_h", a.strideH)).sub(k.int("pad_top", a.padTop))), zero);
        windowsOfRow(k, r, dot, k.let("line", n.mul(sizes.outH).add(oy).mul(sizes.outW)), output);
      }),
    );
    return k.finish("conv2d_s8_mve", "2-D convolution: gathers two windows, then dot products with four output channels at a time.", {
      asWritten: true,
    });
  };
}

function windowsOfRow(k: KernelBuilder, r: WindowRows, dot: VectorDot, line: Expr, output: Buffer): void {
  const columns = outputOf(r.node).shape[2]!;
  const some = (places: readonly Expr[]): void => {
    places.forEach((ox, row) => gatherWindow(k, r, dot, row, ox));
    storeDots(
      k,
      dot,
      places.map((ox, row) => k.let(`to${row}`, line.add(ox).mul(r.sizes.outC))),
      output,
    );
  };
  if (columns === 1) some([k.int("start", 0)]);
  else eachPair(k, "ox", r.sizes.outW, columns % 2 !== 0, some);
}

/** Convolutions and fully connected layers with Helium, else `otherwise`. */
export function vectorConvSchedule(otherwise: Schedule): Schedule {
  return (node, walk) => {
    if (inputOf(node, 1).shape[3] !== inputOf(node, 0).shape[3]) return otherwise(node, walk);
    return (isPointwise(node) ? rowsKernel(node, convMultipliers) : windowKernel(node)) ?? otherwise(node, walk);
  };
}

export function vectorDenseSchedule(otherwise: Schedule): Schedule {
  return (node, walk) => rowsKernel(node, denseMultipliers) ?? otherwise(node, walk);
}
