import { elementCount } from "../../base/index.ts";
import type { Node, Value } from "../../graph/index.ts";
import {
  type Buffer,
  constant,
  type Expr,
  i32,
  type KernelBuilder,
  type KernelInstance,
  type Variable,
  vector,
  vectorLoad,
} from "../../loops/index.ts";
import {
  type Accumulator,
  accumulatorFor,
  attributesOf,
  type DenseAttributes,
  denseMultipliers,
  finishAccumulator,
  inputOf,
  outputOf,
  type Schedule,
  type WindowAttributes,
  windowSizes,
  type WindowSizes,
} from "../../ops/index.ts";

/** Output channels computed together. */
const CHANNELS = 4;
/** Elements of one vector of 16-bit lanes. */
const LANES = 8;

/** int8 in, int8 out, constant int8 weights that are symmetric about 0. */
export function isPlainInt8(node: Node): boolean {
  const [x, w, y] = [inputOf(node, 0), inputOf(node, 1), outputOf(node)];
  const symmetric = w.quantization?.zeroPoints.every((zero) => zero === 0) ?? false;
  return x.dtype === "int8" && w.dtype === "int8" && y.dtype === "int8" && w.data !== undefined && symmetric;
}

function roundUp(value: number, unit: number): number {
  return Math.ceil(value / unit) * unit;
}

/**
 * Weights [channels, depth] in the order in which they are read: for four channels, for eight of the depth, eight
 * bytes of each channel in turn. Zeros fill up channels and depth.
 */
function packWeights(w: Value, channels: number, depth: number): Int8Array {
  const padded = roundUp(depth, LANES);
  const packed = new Int8Array(roundUp(channels, CHANNELS) * padded);
  for (let c = 0; c < channels; c++) {
    const start = (c - (c % CHANNELS)) * padded + (c % CHANNELS) * LANES;
    for (let d = 0; d < depth; d++) {
      packed[start + (d - (d % LANES)) * CHANNELS + (d % LANES)] = Number(w.data![c * depth + d]);
    }
  }
  return packed;
}

/** A matrix product: every output row is made from a row of 16-bit numbers that `gather` writes. */
interface DotLayer {
  readonly rows: number;
  readonly depth: number;
  readonly channels: number;
  readonly start: (channel: Expr) => Accumulator;
  readonly output: Buffer;
  /** Writes row `row` of the input, minus its zero point, from element `at` of `patch`. */
  readonly gather: (patch: Buffer, row: Expr, at: Expr) => void;
}

function emitDotLayer(k: KernelBuilder, w: Value, layer: DotLayer): void {
  const padded = roundUp(layer.depth, LANES);
  // Two rows share every load of weights; a last odd row is computed twice.
  const together = layer.rows === 1 ? 1 : 2;
  const weights = k.constant("packed", "i8", packWeights(w, layer.channels, layer.depth));
  const patch = k.scratch("patch", "i16", padded * together);
  const rows = k.int("rows", layer.rows);
  const depth = k.int("padded_depth", padded);
  k.for(
    "row",
    0,
    rows,
    (row) => {
      const group = Array.from({ length: together }, (_, q) => (q === 0 ? row : k.let("next", row.add(q).min(rows.sub(1)))));
      for (const [q, one] of group.entries()) layer.gather(patch, one, q === 0 ? i32(0) : depth);
      k.for(
        "oc",
        0,
        k.int("channels", layer.channels),
        (oc) => {
          const sums = accumulate(k, { patch, weights, depth, oc, together });
          for (const [q, one] of group.entries()) {
            for (const [j, sum] of sums[q]!.entries()) finishChannel(k, layer, one, oc, j, sum);
          }
        },
        CHANNELS,
      );
    },
    together,
  );
}

interface Block {
  readonly patch: Buffer;
  readonly weights: Buffer;
  readonly depth: Expr;
  readonly oc: Expr;
  readonly together: number;
}

/** Vector sums of all rows of the group by four channels. */
function accumulate(k: KernelBuilder, { patch, weights, depth, oc, together }: Block): Variable[][] {
  const sums = Array.from({ length: together }, (_, q) =>
    Array.from({ length: CHANNELS }, (_, j) => k.variable(`sum${q}${j}`, constant(0, "i32x4"))),
  );
  const base = k.let("base", oc.mul(depth));
  k.for(
    "d",
    0,
    depth,
    (d) => {
      const taps = k.let("taps", base.add(d.mul(CHANNELS)));
      const xs = sums.map((_, q) => k.let(`x${q}`, vectorLoad("i16x8", patch, q === 0 ? d : depth.add(d))));
      for (let j = 0; j < CHANNELS; j++) {
        const w = k.let(`w${j}`, vectorLoad("i16x8", weights, taps.add(j * LANES), "widen8s"));
        xs.forEach((x, q) => {
          const sum = sums[q]![j]!;
          sum.set(vector("i32x4.add", [sum.get(), vector("i32x4.dot_i16x8_s", [x, w])]));
        });
      }
    },
    LANES,
  );
  return sums;
}

function lanesSum(sum: Expr): Expr {
  const lane = (n: number): Expr => vector("i32x4.extract_lane", [sum], n);
  return lane(0)
    .add(lane(1))
    .add(lane(2).add(lane(3)));
}

/** Requantizes and stores channel oc + j of a row, unless it only fills up the last four. */
function finishChannel(k: KernelBuilder, layer: DotLayer, row: Expr, oc: Expr, j: number, sum: Variable): void {
  const channels = k.int("channels", layer.channels);
  const finish = (): void => {
    const channel = k.let("channel", oc.add(j));
    const acc = layer.start(channel);
    acc.variable.set(acc.variable.get().add(lanesSum(sum.get())));
    layer.output.store(row.mul(channels).add(channel), finishAccumulator(k, acc, channel));
  };
  if (j === 0 || layer.channels % CHANNELS === 0) finish();
  else k.if(oc.add(j).lt(channels), finish);
}

/** Copies int8 elements as 16-bit numbers with `offset` (at most 255 either way) added. */
function widenRun(k: KernelBuilder, from: Buffer, fromIndex: Expr, to: Buffer, toIndex: Expr, count: Expr, offset: Expr): void {
  const whole = k.let("whole", count.and(-LANES));
  const offsets = k.let("offsets", vector("i16x8.splat", [offset]));
  k.for(
    "v",
    0,
    whole,
    (v) => {
      const value = vector("i16x8.add", [vectorLoad("i16x8", from, fromIndex.add(v), "widen8s"), offsets]);
      k.emit({ kind: "vectorStore", buffer: to, index: toIndex.add(v), value, form: "full" });
    },
    LANES,
  );
  k.for("s", whole, count, (s) => to.store(toIndex.add(s), from.load(fromIndex.add(s)).add(offset)));
}

function inputOffset(k: KernelBuilder, node: Node): Expr {
  return k.int("input_offset", -inputOf(node, 0).quantization!.zeroPoints[0]!);
}

function denseKernel(k: KernelBuilder, node: Node): KernelInstance {
  const w = inputOf(node, 1);
  const [channels, depth] = w.shape as [number, number];
  const x = k.input(0, "x");
  const start = accumulatorFor(k, node, attributesOf<DenseAttributes>(node).activation, denseMultipliers);
  const output = k.output(0, "y");
  const length = k.int("depth", depth);
  emitDotLayer(k, w, {
    rows: elementCount(inputOf(node, 0).shape) / depth,
    depth,
    channels,
    start,
    output,
    gather: (patch, row, at) => widenRun(k, x, row.mul(length), patch, at, length, inputOffset(k, node)),
  });
  return k.finish("fully_connected_s8_simd", "Fully connected layer, four outputs at a time in 128-bit vectors.");
}

/** Zeros are what padding stands for once the zero point is taken off. */
function clear(k: KernelBuilder, patch: Buffer, at: Expr, depth: number): void {
  k.for(
    "z",
    0,
    k.int("padded_depth", roundUp(depth, LANES)),
    (z) => {
      k.emit({ kind: "vectorStore", buffer: patch, index: at.add(z), value: constant(0, "i16x8"), form: "full" });
    },
    LANES,
  );
}

/** Where the window of an output pixel starts in the input. */
interface Corner {
  readonly n: Expr;
  readonly y0: Expr;
  readonly x0: Expr;
}

function cornerOf(k: KernelBuilder, sizes: WindowSizes, a: WindowAttributes, pixel: Expr): Corner {
  const line = k.let("line", pixel.div(sizes.outW));
  const ox = pixel.sub(line.mul(sizes.outW));
  const n = k.let("n", line.div(sizes.outH));
  const oy = line.sub(n.mul(sizes.outH));
  return {
    n,
    y0: k.let("y0", oy.mul(k.int("stride_h", a.strideH)).sub(k.int("pad_top", a.padTop))),
    x0: k.let("x0", ox.mul(k.int("stride_w", a.strideW)).sub(k.int("pad_left", a.padLeft))),
  };
}

/** Copies a window into the patch: of every filter row, the part inside the input is one run of elements. */
function gatherWindow(
  k: KernelBuilder,
  x: Buffer,
  patch: Buffer,
  sizes: WindowSizes,
  a: WindowAttributes,
  { n, y0, x0 }: Corner,
  at: Expr,
  offset: Expr,
): void {
  const left = k.let("left", x0.neg().max(0));
  const right = k.let("right", sizes.inW.sub(x0).min(sizes.filterW));
  const count = k.let("count", right.sub(left).max(0).mul(sizes.inC));
  k.for("ky", 0, sizes.filterH, (ky) => {
    const iy = k.let("iy", y0.add(ky.mul(k.int("dilation_h", a.dilationH ?? 1))));
    k.if(iy.ge(0).and(iy.lt(sizes.inH)), () => {
      const from = k.let("from", n.mul(sizes.inH).add(iy).mul(sizes.inW).add(x0).add(left).mul(sizes.inC));
      const to = k.let("to", at.add(ky.mul(sizes.filterW).add(left).mul(sizes.inC)));
      widenRun(k, x, from, patch, to, count, offset);
    });
  });
}

function convKernel(k: KernelBuilder, node: Node): KernelInstance {
  const a = attributesOf<WindowAttributes>(node);
  const [x, w, y] = [inputOf(node, 0), inputOf(node, 1), outputOf(node)];
  const input = k.input(0, "x");
  const start = accumulatorFor(k, node, a.activation);
  const output = k.output(0, "y");
  const sizes = windowSizes(k, x, y, w.shape[1]!, w.shape[2]!);
  const depth = elementCount(w.shape.slice(1));
  const padded = a.padTop + a.padBottom + a.padLeft + a.padRight > 0;
  emitDotLayer(k, w, {
    rows: elementCount(y.shape.slice(0, 3)),
    depth,
    channels: y.shape[3]!,
    start,
    output,
    gather: (patch, row, at) => {
      if (padded) clear(k, patch, at, depth);
      gatherWindow(k, input, patch, sizes, a, cornerOf(k, sizes, a, row), at, inputOffset(k, node));
    },
  });
  return k.finish("conv2d_s8_simd", "2-D convolution, two pixels by four channels at a time in 128-bit vectors.");
}

/** Windows whose columns are neighbours, without groups. */
export const convSchedule: Schedule = (node) => {
  const a = attributesOf<WindowAttributes>(node);
  const fits = isPlainInt8(node) && (a.dilationW ?? 1) === 1 && inputOf(node, 0).shape[3] === inputOf(node, 1).shape[3];
  return fits ? (k) => convKernel(k, node) : undefined;
};

export const denseSchedule: Schedule = (node) => (isPlainInt8(node) ? (k) => denseKernel(k, node) : undefined);
