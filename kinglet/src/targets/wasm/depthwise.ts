import type { Node } from "../../graph/index.ts";
import { type Buffer, constant, type Expr, type KernelBuilder, type KernelInstance, type Variable, vector, vectorLoad } from "../../loops/index.ts";
import {
  accumulatorFor,
  attributesOf,
  type DepthwiseAttributes,
  eachInside,
  eachPixel,
  finishAccumulator,
  inputOf,
  outputOf,
  type Schedule,
  windowSizes,
} from "../../ops/index.ts";
import { isPlainInt8 } from "./dot-product.ts";

/** Channels computed together. */
const LANES = 8;

/** low and high += x · w by lanes. */
function multiplyAdd(sums: readonly [Variable, Variable], x: Expr, w: Expr): void {
  const [low, high] = sums;
  low.set(vector("i32x4.add", [low.get(), vector("i32x4.extmul_low_i16x8_s", [x, w])]));
  high.set(vector("i32x4.add", [high.get(), vector("i32x4.extmul_high_i16x8_s", [x, w])]));
}

function spill(k: KernelBuilder, lanes: Buffer, sums: readonly [Variable, Variable]): void {
  for (const [half, sum] of sums.entries()) {
    k.emit({ kind: "vectorStore", buffer: lanes, index: constant(half * 4, "i32"), value: sum.get(), form: "full" });
  }
}

function depthwiseKernel(k: KernelBuilder, node: Node): KernelInstance {
  const a = attributesOf<DepthwiseAttributes>(node);
  const [x, w, y] = [inputOf(node, 0), inputOf(node, 1), outputOf(node)];
  const [input, weights] = [k.input(0, "x"), k.input(1, "w")];
  const start = accumulatorFor(k, node, a.activation);
  const output = k.output(0, "y");
  const lanes = k.scratch("lanes", "i32", LANES);
  const sizes = windowSizes(k, x, y, w.shape[1]!, w.shape[2]!);
  const offsets = k.let("offsets", vector("i16x8.splat", [k.int("input_offset", -x.quantization!.zeroPoints[0]!)]));
  eachPixel(k, sizes, a, (n, oy, ox, y0, x0) =>
    k.for(
      "block",
      0,
      sizes.inC,
      (block) => {
        // The last block moves back to end with the last channel: some channels are computed twice, alike.
        const c = k.let("c", block.min(sizes.inC.sub(LANES)));
        const sums = [k.variable("low", constant(0, "i32x4")), k.variable("high", constant(0, "i32x4"))] as const;
        eachInside(k, sizes, a, n, y0, x0, (ky, kx, pixel) => {
          const values = vector("i16x8.add", [vectorLoad("i16x8", input, pixel.mul(sizes.inC).add(c), "widen8s"), offsets]);
          const taps = vectorLoad("i16x8", weights, ky.mul(sizes.filterW).add(kx).mul(sizes.inC).add(c), "widen8s");
          multiplyAdd(sums, k.let("values", values), k.let("taps", taps));
        });
        spill(k, lanes, sums);
        const at = k.let("at", n.mul(sizes.outH).add(oy).mul(sizes.outW).add(ox).mul(sizes.outC).add(c));
        k.for("lane", 0, LANES, (lane) => {
          const channel = k.let("channel", c.add(lane));
          const acc = start(channel);
          acc.variable.set(acc.variable.get().add(lanes.load(lane)));
          output.store(at.add(lane), finishAccumulator(k, acc, channel));
        });
      },
      LANES,
    ),
  );
  return k.finish("depthwise_conv2d_s8_simd", "Depthwise 2-D convolution, eight channels at a time in 128-bit vectors.");
}

/** One output channel for each of at least eight input channels. */
export const depthwiseSchedule: Schedule = (node) => {
  const fits = isPlainInt8(node) && attributesOf<DepthwiseAttributes>(node).depthMultiplier === 1 && inputOf(node, 0).shape[3]! >= LANES;
  return fits ? (k) => depthwiseKernel(k, node) : undefined;
};
