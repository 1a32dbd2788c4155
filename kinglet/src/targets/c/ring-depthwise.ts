import type { Node } from "../../graph/index.ts";
import { type Buffer, type Expr, i32, type KernelBuilder, type KernelInstance } from "../../loops/index.ts";
import {
  attributesOf,
  convMultipliers,
  type DepthwiseAttributes,
  inputOf,
  outputOf,
  type Schedule,
  type Walk,
  windowSizes,
} from "../../ops/index.ts";
import type { LayerForm } from "./layer.ts";
import { planPortable, type PortablePlan, type PortableResult } from "./portable-layer.ts";

/** Windows of more taps keep none of their weights in registers: they are left to other kernels. */
const MOST_TAPS = 9;

function channelForm(node: Node): LayerForm {
  const [, height, width, channels] = inputOf(node, 1).shape as [number, number, number, number];
  return { channels, taps: height * width, first: (channel) => channel, step: channels, block: 1, fold: true };
}

/** The rows of input under one row of outputs, padded left and right, in a ring: row y lies in slot y modulo its height. */
interface Ring {
  readonly node: Node;
  readonly input: Buffer;
  readonly rows: Buffer;
  readonly sizes: ReturnType<typeof windowSizes>;
  readonly filterH: number;
  readonly filterW: number;
  /** Elements of a row. */
  readonly pitch: Expr;
  readonly zeroPoint: Expr;
}

/** Where row `y` lies; rows above the input count from above the ring's start. */
function slotOf(r: Ring, y: Expr): Expr {
  return y
    .add(r.filterH * (1 + attributesOf<DepthwiseAttributes>(r.node).padTop))
    .rem(r.filterH)
    .mul(r.pitch);
}

function fill(k: KernelBuilder, to: Buffer, from: Expr, count: Expr, value: Expr): void {
  k.for("i", 0, count, (i) => to.store(from.add(i), value));
}

/** Brings `count` rows: the last ones under the window that starts at `y0`, or walking backward the first ones. */
function fetchRows(k: KernelBuilder, r: Ring, n: Expr, y0: Expr, count: Expr, direction: Walk): void {
  const a = attributesOf<DepthwiseAttributes>(r.node);
  const length = r.sizes.inW.mul(r.sizes.inC);
  k.for("row", 0, count, (row) => {
    const y = k.let("y", direction === "forward" ? y0.add(r.filterH).sub(count).add(row) : y0.add(row));
    const to = k.let("slot", slotOf(r, y).add(r.sizes.inC.mul(k.int("pad_left", a.padLeft))));
    k.if(
      y.ge(0).and(y.lt(r.sizes.inH)),
      () => k.copy(r.rows, to, r.input, n.mul(r.sizes.inH).add(y).mul(length), length),
      () => fill(k, r.rows, to, k.let("row_length", length), r.zeroPoint),
    );
  });
}

/** One channel of a row of outputs: its weights are loaded once. */
function channelRow(
  k: KernelBuilder,
  r: Ring,
  weights: Buffer,
  result: PortableResult,
  c: Expr,
  slots: readonly Expr[],
  output: Buffer,
  to: Expr,
): void {
  const { inC, outC, outW } = r.sizes;
  const w = Array.from({ length: r.filterH * r.filterW }, (_, i) => k.let(`w${i}`, weights.load(c.add(inC.mul(i)))));
  const bias = k.let("bias", result.bias(c));
  const stored = result.channel(k, c);
  const step = inC.mul(k.int("stride_w", attributesOf<DepthwiseAttributes>(r.node).strideW));
  k.for("ox", 0, outW, (ox) => {
    const at = k.let("at", ox.mul(step).add(c));
    const products = w.map((weight, i) => r.rows.load(slots[Math.floor(i / r.filterW)]!.add(at).add(inC.mul(i % r.filterW))).mul(weight));
    const sum = k.let(
      "sum",
      products.reduce((a, b) => a.add(b)),
    );
    output.store(to.add(ox.mul(outC)).add(c), stored(k.let("result", bias.wrapAdd(sum.shl(result.scaleBits)))));
  });
}

function ringKernel(k: KernelBuilder, node: Node, plan: PortablePlan, direction: Walk): KernelInstance {
  const a = attributesOf<DepthwiseAttributes>(node);
  const [x, w, y] = [inputOf(node, 0), inputOf(node, 1), outputOf(node)];
  const [filterH, filterW] = [w.shape[1]!, w.shape[2]!];
  const input = k.input(0, "x");
  const weights = k.constant("w", "i8", plan.weights);
  const result = plan.result(k);
  const output = k.output(0, "y");
  const sizes = windowSizes(k, x, y, filterH, filterW);
  const pitch = Math.max((y.shape[2]! - 1) * a.strideW + filterW, a.padLeft + x.shape[2]!) * x.shape[3]!;
  const rows = k.scratch("rows", "i8", filterH * pitch);
  const zeroPoint = k.int("input_zero_point", x.quantization!.zeroPoints[0]!);
  const r: Ring = { node, input, rows, sizes, filterH, filterW, pitch: k.int("pitch", pitch), zeroPoint };
  const outH = y.shape[1]!;
  const [start, step] = [k.int("oy_start", direction === "forward" ? 0 : outH - 1), k.int("walk", direction === "forward" ? 1 : -1)];
  fill(k, rows, i32(0), k.int("ring", filterH * pitch), zeroPoint);
  k.for("n", 0, sizes.batches, (n) =>
    k.for("i", 0, sizes.outH, (i) => {
      const oy = k.let("oy", start.add(i.mul(step)));
      const y0 = k.let("y0", oy.mul(k.int("stride_h", a.strideH)).sub(k.int("pad_top", a.padTop)));
      const fresh = k.let("fresh", i.eq(0).select(i32(filterH), k.int("fresh_rows", Math.min(filterH, a.strideH))));
      fetchRows(k, r, n, y0, fresh, direction);
      const slots = Array.from({ length: filterH }, (_, ky) => k.let(`slot${ky}`, slotOf(r, y0.add(ky))));
      const to = k.let("to", n.mul(sizes.outH).add(oy).mul(sizes.outW).mul(sizes.outC));
      k.for("c", 0, sizes.inC, (c) => channelRow(k, r, weights, result, c, slots, output, to));
    }),
  );
  return k.finish("depthwise_conv2d_ring_s8", "Depthwise 2-D convolution: rows in a ring, one channel after the other.", { asWritten: true });
}

/** Depthwise layers with multiplier 1 and small windows, else `otherwise`. The ring takes RAM: as many rows as the window has. */
export function ringDepthwiseSchedule(otherwise: Schedule): Schedule {
  return (node, direction = "forward") => {
    const a = attributesOf<DepthwiseAttributes>(node);
    const w = inputOf(node, 1).shape;
    const simple = a.depthMultiplier === 1 && (a.dilationH ?? 1) === 1 && (a.dilationW ?? 1) === 1 && w[1]! * w[2]! <= MOST_TAPS;
    const plan = simple ? planPortable(node, convMultipliers, "ring", channelForm(node)) : undefined;
    return plan === undefined ? otherwise(node, direction) : (k) => ringKernel(k, node, plan, direction);
  };
}
