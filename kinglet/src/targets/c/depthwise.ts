import type { Node } from "../../graph/index.ts";
import { type Buffer, type Expr, i32, type KernelBuilder, type KernelInstance } from "../../loops/index.ts";
import {
  attributesOf,
  convMultipliers,
  type DepthwiseAttributes,
  eachPixel,
  inputOf,
  outputOf,
  type Schedule,
  windowSizes,
} from "../../ops/index.ts";
import { type LayerForm, planLayer, type QuantizedLayer } from "./layer.ts";

/** A depthwise layer with multiplier 1, as its window kernels see it. */
export interface DepthwiseKernel {
  readonly input: Buffer;
  readonly weights: Buffer;
  readonly output: Buffer;
  readonly layer: QuantizedLayer;
  readonly sizes: ReturnType<typeof windowSizes>;
  readonly filterW: number;
  /** Minus the input's zero point. */
  readonly offset: Expr;
}

/** One output pixel: where its window starts in the input, which of its taps lie inside, where the result goes. */
export interface DepthwiseWindow {
  /** Input element of tap (0, 0), channel 0; it may lie before the input's first element. */
  readonly corner: Expr;
  readonly firstRow: Expr;
  readonly endRow: Expr;
  readonly firstColumn: Expr;
  readonly endColumn: Expr;
  readonly to: Expr;
}

/** Computes all channels of a window: `whole` where every tap is inside, so that columns can be unrolled. */
export type WindowKernel = (k: KernelBuilder, d: DepthwiseKernel, window: DepthwiseWindow, whole: boolean) => void;

function channelForm(node: Node): LayerForm {
  const [, height, width, channels] = inputOf(node, 1).shape as [number, number, number, number];
  return { channels, taps: height * width, first: (channel) => channel, step: channels, block: 1, fold: false };
}

/** Visits the taps of a window with the element offsets of their input and weights, channel 0. */
export function eachTap(
  k: KernelBuilder,
  d: DepthwiseKernel,
  window: DepthwiseWindow,
  whole: boolean,
  channel: Expr,
  body: (x: Expr, w: Expr) => void,
): void {
  const { inW, inC, filterH } = d.sizes;
  const [from, to] = whole ? [i32(0), filterH] : [window.firstRow, window.endRow];
  k.for("ky", from, to, (ky) => {
    const row = k.let("row", window.corner.add(channel).add(ky.mul(inW.mul(inC))));
    const taps = k.let("taps", channel.add(ky.mul(inC.mul(d.filterW))));
    if (whole) {
      for (let kx = 0; kx < d.filterW; kx++) body(row.add(inC.mul(kx)), taps.add(inC.mul(kx)));
    } else {
      k.for("kx", window.firstColumn, window.endColumn, (kx) => {
        const step = k.let("step", kx.mul(inC));
        body(row.add(step), taps.add(step));
      });
    }
  });
}

function windowAt(k: KernelBuilder, sizes: DepthwiseKernel["sizes"], n: Expr, y0: Expr, x0: Expr, to: Expr): DepthwiseWindow {
  return {
    corner: k.let("corner", n.mul(sizes.inH).add(y0).mul(sizes.inW).add(x0).mul(sizes.inC)),
    firstRow: k.let("first_row", i32(0).sub(y0).max(0)),
    endRow: k.let("end_row", sizes.inH.sub(y0).min(sizes.filterH)),
    firstColumn: k.let("first_column", i32(0).sub(x0).max(0)),
    endColumn: k.let("end_column", sizes.inW.sub(x0).min(sizes.filterW)),
    to,
  };
}

/** Depthwise int8 convolution with multiplier 1 and no dilation: the taps inside the input are a rectangle. */
export const depthwiseSchedule =
  (kernel: WindowKernel): Schedule =>
  (node, direction = "forward") => {
    const a = attributesOf<DepthwiseAttributes>(node);
    const [x, w, y] = [inputOf(node, 0), inputOf(node, 1), outputOf(node)];
    if (a.depthMultiplier !== 1 || (a.dilationH ?? 1) !== 1 || (a.dilationW ?? 1) !== 1) return undefined;
    const plan = planLayer(node, convMultipliers, channelForm(node));
    if (plan === undefined) return undefined;
    return (k): KernelInstance => {
      const input = k.input(0, "x");
      const weights = k.constant("w", "i8", plan.weights);
      const layer = plan.tables(k);
      const output = k.output(0, "y");
      const sizes = windowSizes(k, x, y, w.shape[1]!, w.shape[2]!);
      const offset = -x.quantization!.zeroPoints[0]!;
      const d: DepthwiseKernel = { input, weights, output, layer, sizes, filterW: w.shape[2]!, offset: k.int("offset", offset) };
      eachPixel(
        k,
        sizes,
        a,
        (n, oy, ox, y0, x0) => {
          const to = k.let("to", n.mul(sizes.outH).add(oy).mul(sizes.outW).add(ox).mul(sizes.outC));
          const window = windowAt(k, sizes, n, y0, x0, to);
          const whole = window.endRow.sub(window.firstRow).eq(sizes.filterH).and(window.endColumn.sub(window.firstColumn).eq(sizes.filterW));
          k.if(
            whole,
            () => kernel(k, d, window, true),
            () => kernel(k, d, window, false),
          );
        },
        undefined,
        { direction, outH: y.shape[1]!, outW: y.shape[2]! },
      );
      return { ...k.finish("depthwise_conv2d_window_s8", "Depthwise 2-D convolution over the taps that lie inside the input."), notes: plan.notes };
    };
  };
