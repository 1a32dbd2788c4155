import type { Node } from "../graph/index.ts";
import { type Buffer, type Expr, f32, i32, type KernelBuilder } from "../loops/index.ts";
import type { Accumulator } from "./accumulate.ts";
import { inputOf } from "./op.ts";
import { type Activation, floatBounds } from "./quantization.ts";
import { roundAwayFloat } from "./round.ts";

/** Float activations and int8 weights: the activations are quantized while the network runs. */
export function isHybrid(node: Node): boolean {
  return inputOf(node, 0).dtype === "float32" && inputOf(node, 1).dtype === "int8";
}

/** What a hybrid layer needs to know of the row (a batch of the input) that it works on. */
interface Row {
  readonly from: Expr;
  readonly scale: Expr;
  readonly zeroPoint: Expr;
}

/** A float input that is read as int8, one row after the other. */
export interface HybridInput {
  /** Quantizes the row that starts at `from`; `load` and `start` then speak of it. */
  begin(from: Expr): void;
  load(index: Expr): Expr;
  /** Starts the sum of one output channel. */
  start(channel: Expr): Accumulator;
}

/** Smallest and largest of a row, 0 included, because 0 must have an exact int8. */
function rangeOfRow(k: KernelBuilder, input: Buffer, from: Expr, count: Expr): { low: Expr; high: Expr } {
  const low = k.variable("lowest", f32(0));
  const high = k.variable("highest", f32(0));
  k.for("i", 0, count, (i) => {
    const x = k.let("x_i", input.load(from.add(i)));
    low.set(low.get().min(x));
    high.set(high.get().max(x));
  });
  return { low: low.get(), high: high.get() };
}

/** A row of zeros has no range: its quotients are set to 0. */
function quotient(a: Expr, b: Expr): Expr {
  return b.gt(0).select(a.div(b), 0);
}

/** The largest magnitude becomes 127. */
function symmetricScale(k: KernelBuilder, low: Expr, high: Expr): { scale: Expr; inverse: Expr; zeroPoint: Expr } {
  const range = k.let("range", low.neg().max(high));
  return { scale: k.let("scale", range.div(127)), inverse: k.let("inverse", quotient(f32(127), range)), zeroPoint: i32(0) };
}

/** Lowest and highest become -128 and 127, the zero point is rounded from the end that it is nearer to. */
function asymmetricScale(k: KernelBuilder, low: Expr, high: Expr): { scale: Expr; inverse: Expr; zeroPoint: Expr } {
  const scale = k.let("scale", high.sub(low).div(255));
  const below = k.let("below", quotient(low, scale));
  const above = k.let("above", quotient(high, scale));
  const nearLow = above.add(127).gt(f32(128).sub(below));
  const zero = k.let("zero", nearLow.select(f32(-128).sub(below), f32(127).sub(above)));
  const zeroPoint = k.let("zero_point", k.call(roundAwayFloat, zero).clamp(-128, 127).to("i32"));
  return { scale, inverse: k.let("inverse", quotient(f32(1), scale)), zeroPoint };
}

function quantizeRow(k: KernelBuilder, input: Buffer, row: Buffer, from: Expr, count: Expr, asymmetric: boolean): Row {
  const { low, high } = rangeOfRow(k, input, from, count);
  const { scale, inverse, zeroPoint } = (asymmetric ? asymmetricScale : symmetricScale)(k, low, high);
  const offset = zeroPoint.to("f32");
  k.for("q", 0, count, (q) => {
    const scaled = input.load(from.add(q)).mul(inverse);
    const whole = k.call(roundAwayFloat, asymmetric ? scaled.add(offset) : scaled);
    row.store(q, whole.clamp(asymmetric ? -128 : -127, 127).to("i32"));
  });
  return { from, scale, zeroPoint };
}

/** Scale of an output channel's weights. */
function weightScales(k: KernelBuilder, node: Node): (channel: Expr) => Expr {
  const scales = inputOf(node, 1).quantization?.scales ?? [1];
  if (scales.length === 1) return () => k.float("weight_scale", scales[0]!);
  const table = k.constant("weight_scales", "f32", Float32Array.from(scales));
  return (channel) => table.load(channel);
}

/**
 * TensorFlow Lite's dynamic-range layers: each row of the input is quantized by its own range, the products are
 * summed as integers, and the sum is scaled back. A row is what one sum may read, `rowLength` elements.
 */
export function hybridInput(
  k: KernelBuilder,
  node: Node,
  input: Buffer,
  rowLength: number,
  activation: Activation,
  asymmetric: boolean,
): HybridInput {
  const bias = k.hasInput(2) ? k.input(2, "bias") : undefined;
  const scaleOf = weightScales(k, node);
  const count = k.int("row_length", rowLength);
  const quantized = k.scratch("row", "i8", rowLength);
  const weightOffset = i32(-(inputOf(node, 1).quantization?.zeroPoints[0] ?? 0));
  const { low, high } = floatBounds(activation);
  const bounded = low !== -Infinity || high !== Infinity;
  let row: Row;
  const finish: Accumulator["finish"] = (acc, channel) => {
    const product = acc.to("f32").mul(row.scale.mul(scaleOf(channel)));
    const sum = bias === undefined ? product : product.add(bias.load(channel));
    return bounded ? sum.clamp(k.float("low", low), k.float("high", high)) : sum;
  };
  return {
    begin: (from) => {
      row = quantizeRow(k, input, quantized, from, count, asymmetric);
    },
    load: (index) => quantized.load(index.sub(row.from)),
    start: () => ({ type: "i32", variable: k.variable("acc", i32(0)), inputOffset: i32(0).sub(row.zeroPoint), weightOffset, finish }),
  };
}
