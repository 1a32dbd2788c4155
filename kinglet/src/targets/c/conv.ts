import type { Node } from "../../graph/index.ts";
import type { Buffer, Expr, KernelBuilder, KernelInstance } from "../../loops/index.ts";
import {
  attributesOf,
  convMultipliers,
  denseMultipliers,
  eachPixel,
  inputOf,
  type MultiplierRule,
  outputOf,
  type Schedule,
  type WindowAttributes,
  windowSizes,
} from "../../ops/index.ts";
import { BLOCK, type DotProduct } from "./dot.ts";
import { isPointwise } from "./pointwise.ts";
import { channelBias, planLayer, type QuantizedLayer, requantizeLayer, rowForm } from "./layer.ts";

interface DotKernel {
  readonly weights: Buffer;
  readonly layer: QuantizedLayer;
  readonly depth: Expr;
  readonly channels: Expr;
  readonly dot: DotProduct;
  /** True where the last block of channels is not full. */
  readonly tail: boolean;
}

/**
 * Dot products of one input vector with all rows of the weights, four rows at a time. A last block that is not
 * full is padded with zero rows, whose results are not stored.
 */
function storeDots(k: KernelBuilder, kernel: DotKernel, source: Buffer, from: Expr, output: Buffer, to: Expr): void {
  k.for(
    "oc",
    0,
    kernel.channels,
    (oc) => {
      const sums = Array.from({ length: BLOCK }, (_, j) => k.variable(`acc${j}`, channelBias(kernel.layer, oc.add(j))));
      kernel.dot.accumulate(k, sums, source, from, kernel.weights, k.let("block", oc.mul(kernel.depth)), kernel.depth);
      sums.forEach((sum, j) => {
        const write = (): void => output.store(to.add(oc).add(j), requantizeLayer(k, kernel.layer, k.let(`sum${j}`, sum.get()), oc.add(j)));
        if (j > 0 && kernel.tail) k.if(oc.add(j).lt(kernel.channels), write);
        else write();
      });
    },
    BLOCK,
  );
}

function dotKernel(k: KernelBuilder, node: Node, weights: Int8Array, layer: QuantizedLayer, depth: number, dot: DotChoice): DotKernel {
  const channels = inputOf(node, 1).shape[0]!;
  const packed = dot.product.pack(weights, channels, depth);
  return {
    weights: k.constant("w", "i8", packed),
    layer,
    depth: k.int("depth", depth),
    channels: k.int("out_c", channels),
    dot: dot.product,
    tail: dot.oneForAll || channels % BLOCK !== 0,
  };
}

/** A 1x1 convolution or a fully connected layer: rows of `depth` elements in, rows of `channels` out. */
function rowsKernel(node: Node, rule: MultiplierRule, choose: ChooseDot): ((k: KernelBuilder) => KernelInstance) | undefined {
  const [w, y] = [inputOf(node, 1), outputOf(node)];
  const depth = w.shape[w.shape.length - 1]!;
  const channels = w.shape[0]!;
  const plan = planLayer(node, rule, rowForm(node, BLOCK));
  if (plan === undefined) return undefined;
  return (k) => {
    const input = k.input(0, "x");
    const layer = plan.tables(k);
    const output = k.output(0, "y");
    const dot = dotKernel(k, node, plan.weights, layer, depth, choose(depth));
    const rows = y.shape.reduce((p, d) => p * d, 1) / channels;
    k.for("row", 0, k.int("rows", rows), (row) =>
      storeDots(k, dot, input, k.let("from", row.mul(dot.depth)), output, k.let("to", row.mul(dot.channels))),
    );
    return { ...k.finish("rows_s8", "Dot products of input rows with four output channels at a time."), notes: plan.notes };
  };
}

/** Copies one window into `patch`, row by row; positions outside the input become the zero point. */
export function gatherPatch(
  k: KernelBuilder,
  node: Node,
  sizes: ReturnType<typeof windowSizes>,
  input: Buffer,
  patch: Buffer,
  n: Expr,
  y0: Expr,
  x0: Expr,
): void {
  const a = attributesOf<WindowAttributes>(node);
  const zeroPoint = k.int("input_zero_point", inputOf(node, 0).quantization!.zeroPoints[0]!);
  const dilationH = k.int("dilation_h", a.dilationH ?? 1);
  const rowLength = k.let("row_length", sizes.filterW.mul(sizes.inC));
  k.for("ky", 0, sizes.filterH, (ky) => {
    const iy = k.let("iy", y0.add(ky.mul(dilationH)));
    const to = k.let("patch_row", ky.mul(rowLength));
    const inside = iy.ge(0).and(iy.lt(sizes.inH));
    const whole = x0.ge(0).and(x0.add(sizes.filterW).le(sizes.inW)).and(inside);
    k.if(
      whole,
      () => k.copy(patch, to, input, n.mul(sizes.inH).add(iy).mul(sizes.inW).add(x0).mul(sizes.inC), rowLength),
      () =>
        k.for("kx", 0, sizes.filterW, (kx) => {
          const ix = k.let("ix", x0.add(kx));
          const cell = k.let("cell", to.add(kx.mul(sizes.inC)));
          k.if(
            ix.ge(0).and(ix.lt(sizes.inW)).and(inside),
            () => k.copy(patch, cell, input, n.mul(sizes.inH).add(iy).mul(sizes.inW).add(ix).mul(sizes.inC), sizes.inC),
            () => k.for("c", 0, sizes.inC, (c) => patch.store(cell.add(c), zeroPoint)),
          );
        }),
    );
  });
}

/** A convolution with a window: the window is gathered once, then used by all output channels. */
function patchKernel(node: Node, choose: ChooseDot): ((k: KernelBuilder) => KernelInstance) | undefined {
  const a = attributesOf<WindowAttributes>(node);
  const plan = planLayer(node, convMultipliers, rowForm(node, BLOCK));
  const [x, w, y] = [inputOf(node, 0), inputOf(node, 1), outputOf(node)];
  if (plan === undefined || (a.dilationW ?? 1) !== 1) return undefined;
  const depth = w.shape[1]! * w.shape[2]! * w.shape[3]!;
  return (k) => {
    const input = k.input(0, "x");
    const layer = plan.tables(k);
    const output = k.output(0, "y");
    const sizes = windowSizes(k, x, y, w.shape[1]!, w.shape[2]!);
    const patch = k.scratch("patch", "i8", depth);
    const dot = dotKernel(k, node, plan.weights, layer, depth, choose(depth));
    eachPixel(k, sizes, a, (n, oy, ox, y0, x0) => {
      gatherPatch(k, node, sizes, input, patch, n, y0, x0);
      const to = k.let("to", n.mul(sizes.outH).add(oy).mul(sizes.outW).add(ox).mul(sizes.outC));
      storeDots(k, dot, patch, k.int("patch_start", 0), output, to);
    });
    return {
      ...k.finish("conv2d_patch_s8", "2-D convolution: gathers each window, then dot products four output channels at a time."),
      notes: plan.notes,
    };
  };
}

/** A dot product, and whether all layers shall share one kernel (smaller) or each kind has its own (faster). */
export interface DotChoice {
  readonly product: DotProduct;
  readonly oneForAll: boolean;
}

/** How a family of machines computes dot products of a given length. */
export type ChooseDot = (depth: number) => DotChoice;

export function convSchedule(choose: ChooseDot): Schedule {
  return (node) => {
    if (inputOf(node, 1).shape[3] !== inputOf(node, 0).shape[3]) return undefined;
    return isPointwise(node) ? rowsKernel(node, convMultipliers, choose) : patchKernel(node, choose);
  };
}

export function denseSchedule(choose: ChooseDot): Schedule {
  return (node) => rowsKernel(node, denseMultipliers, choose);
}
