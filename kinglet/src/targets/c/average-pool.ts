import type { Node } from "../../graph/index.ts";
import { type Expr, i32, intrinsic, type KernelBuilder, type KernelInstance, loadWord } from "../../loops/index.ts";
import { attributesOf, inputOf, outputOf, type PoolAttributes, poolBounds, roundedMean, type Schedule } from "../../ops/index.ts";

/** Sums of more bytes could leave a 16-bit lane. */
const MOST_PIXELS = 255;
const CHANNELS = 4;

/** Whether one window without padding covers the whole map. */
function isGlobal(node: Node): boolean {
  const [x, y] = [inputOf(node, 0), outputOf(node)];
  const a = attributesOf<PoolAttributes>(node);
  return (
    x.dtype === "int8" &&
    y.dtype === "int8" &&
    a.padTop + a.padBottom + a.padLeft + a.padRight === 0 &&
    a.filterH === x.shape[1] &&
    a.filterW === x.shape[2] &&
    a.filterH * a.filterW <= MOST_PIXELS &&
    x.shape[3]! % CHANNELS === 0
  );
}

/** Four channels at a time: each word adds to two pairs of 16-bit sums. */
function averageKernel(k: KernelBuilder, node: Node): KernelInstance {
  const [x, y] = [inputOf(node, 0).shape, outputOf(node)];
  const a = attributesOf<PoolAttributes>(node);
  const { low, high } = poolBounds(node, a);
  const input = k.input(0, "x");
  const output = k.output(0, "y");
  const [pixels, channels] = [k.int("pixels", x[1]! * x[2]!), k.int("in_c", x[3]!)];
  const mean = (sum: Expr): Expr => roundedMean(k.let("sum", sum), pixels).clamp(k.int("low", low), k.int("high", high));
  k.for("n", 0, k.int("batches", y.shape[0]!), (n) =>
    k.for(
      "c",
      0,
      channels,
      (c) => {
        const [even, odd] = [k.variable("even", i32(0)), k.variable("odd", i32(0))];
        const from = k.let("from", n.mul(pixels).mul(channels).add(c));
        k.for("pixel", 0, pixels, (pixel) => {
          const word = k.let("word", loadWord(input, from.add(pixel.mul(channels))));
          even.set(intrinsic("sxtab16", word, even.get()));
          odd.set(intrinsic("sxtab16High", word, odd.get()));
        });
        const to = k.let("to", n.mul(channels).add(c));
        [even, odd].forEach((pair, i) => {
          output.store(to.add(i), mean(pair.get().shl(16).shr(16)));
          output.store(to.add(i + 2), mean(pair.get().shr(16)));
        });
      },
      CHANNELS,
    ),
  );
  return k.finish("global_average_pool_s8", "Average of a whole map, four channels at a time.");
}

/** Average over the whole map, for int8 and a multiple of four channels. */
export const averagePoolSchedule: Schedule = (node) => (isGlobal(node) ? (k) => averageKernel(k, node) : undefined);
