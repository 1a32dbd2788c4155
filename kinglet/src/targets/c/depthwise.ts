import type { Node } from "../../graph/index.ts";
import type { Buffer, Expr, KernelBuilder, KernelInstance } from "../../loops/index.ts";
import { attributesOf, convMultipliers, type DepthwiseAttributes, eachPixel, inputOf, outputOf, resultBounds, type Schedule, windowSizes } from "../../ops/index.ts";
import { planLayer, type QuantizedLayer, requantizeLayer } from "./layer.ts";

export interface DepthwiseKernel {
  readonly input: Buffer;
  readonly weights: Buffer;
  readonly output: Buffer;
  readonly layer: QuantizedLayer;
  readonly sizes: ReturnType<typeof windowSizes>;
  readonly filterH: number;
  readonly filterW: number;
  /** The input's zero point: what padding counts as. */
  readonly padding: Expr;
}

function channelTaps(node: Node): (channel: number) => Iterable<number> {
  const w = inputOf(node, 1);
  const channels = w.shape[3]!;
  return (channel) => Array.from({ length: w.shape[1]! * w.shape[2]! }, (_, tap) => (w.data as Int8Array)[tap * channels + channel]!);
}

/** Computes a window that lies inside the input; `corner` and `to` are its first input and output elements. */
export type InsideWindow = (k: KernelBuilder, d: DepthwiseKernel, corner: Expr, to: Expr) => void;

/** One channel at a time, the filter's columns unrolled. */
export const eachChannel: InsideWindow = (k, d, corner, to) => {
  const rowStride = k.let("row_stride", d.sizes.inW.mul(d.sizes.inC));
  k.for("c", 0, d.sizes.inC, (c) => {
    const acc = k.variable("acc", d.layer.bias.load(c));
    const visitRow = (row: Expr, taps: Expr): void => {
      for (let kx = 0; kx < d.filterW; kx++) {
        const x = d.input.load(row.add(d.sizes.inC.mul(kx)));
        const w = d.weights.load(taps.add(d.sizes.inC.mul(kx)));
        acc.set(acc.get().add(x.mul(w)));
      }
    };
    k.for("ky", 0, d.sizes.filterH, (ky) => {
      const row = k.let("row", corner.add(c).add(ky.mul(rowStride)));
      visitRow(row, k.let("taps", c.add(ky.mul(d.sizes.inC.mul(d.filterW)))));
    });
    d.output.store(to.add(c), requantizeLayer(k, d.layer, k.let("sum", acc.get()), c));
  });
};

/** A window at the border: taps outside the input see the zero point, as the folded bias expects. */
function borderWindow(k: KernelBuilder, d: DepthwiseKernel, n: Expr, y0: Expr, x0: Expr, to: Expr): void {
  const { sizes } = d;
  k.for("edge_c", 0, sizes.inC, (c) => {
    const acc = k.variable("edge_acc", d.layer.bias.load(c));
    k.for("edge_ky", 0, sizes.filterH, (ky) => {
      const iy = k.let("iy", y0.add(ky));
      k.for("edge_kx", 0, sizes.filterW, (kx) => {
        const ix = k.let("ix", x0.add(kx));
        const w = k.let("weight", d.weights.load(ky.mul(sizes.filterW).add(kx).mul(sizes.inC).add(c)));
        k.if(iy.ge(0).and(iy.lt(sizes.inH)).and(ix.ge(0)).and(ix.lt(sizes.inW)),
          () => acc.set(acc.get().add(w.mul(d.input.load(n.mul(sizes.inH).add(iy).mul(sizes.inW).add(ix).mul(sizes.inC).add(c))))),
          () => acc.set(acc.get().add(w.mul(d.padding))));
      });
    });
    d.output.store(to.add(c), requantizeLayer(k, d.layer, k.let("edge_sum", acc.get()), c));
  });
}

/** Depthwise int8 convolution with multiplier 1 and no dilation: windows inside the input run without tests. */
export const depthwiseSchedule = (choose: (channels: number) => InsideWindow): Schedule => (node) => {
  const a = attributesOf<DepthwiseAttributes>(node);
  const [x, w, y] = [inputOf(node, 0), inputOf(node, 1), outputOf(node)];
  if (a.depthMultiplier !== 1 || (a.dilationH ?? 1) !== 1 || (a.dilationW ?? 1) !== 1) return undefined;
  const plan = planLayer(node, convMultipliers, 1, channelTaps, w.shape[3]!);
  if (plan === undefined) return undefined;
  const inside = choose(x.shape[3]!);
  return (k): KernelInstance => {
    const input = k.input(0, "x");
    const weights = k.input(1, "w");
    const layer = plan(k, resultBounds(node, a.activation));
    const output = k.output(0, "y");
    const sizes = windowSizes(k, x, y, w.shape[1]!, w.shape[2]!);
    const padding = k.int("input_zero_point", x.quantization!.zeroPoints[0]!);
    const d: DepthwiseKernel = { input, weights, output, layer, sizes, filterH: w.shape[1]!, filterW: w.shape[2]!, padding };
    eachPixel(k, sizes, a, (n, oy, ox, y0, x0) => {
      const to = k.let("to", n.mul(sizes.outH).add(oy).mul(sizes.outW).add(ox).mul(sizes.outC));
      const isInside = y0.ge(0).and(y0.add(sizes.filterH).le(sizes.inH)).and(x0.ge(0)).and(x0.add(sizes.filterW).le(sizes.inW));
      k.if(isInside,
        () => inside(k, d, k.let("corner", n.mul(sizes.inH).add(y0).mul(sizes.inW).add(x0).mul(sizes.inC)), to),
        () => borderWindow(k, d, n, y0, x0, to));
    });
    return k.finish("depthwise_conv2d_window_s8", "Depthwise 2-D convolution; windows inside the input run without tests.");
  };
};
