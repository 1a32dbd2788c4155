import type { Node } from "../../graph/index.ts";
import { type Buffer, type Expr, imagesOf, type KernelBuilder, type KernelInstance, vector, vectorLoad } from "../../loops/index.ts";
import {
  attributesOf,
  convMultipliers,
  type DepthwiseAttributes,
  inputOf,
  type Kernel,
  type NodeLayouts,
  outputOf,
  type Schedule,
} from "../../ops/index.ts";
import { clearBorder } from "./border.ts";
import { byteMath, floatMath, type LayerMath, SUMS } from "./layer.ts";
import { blockStarts } from "./tile.ts";

/** Taps that are written out one after another; larger windows are left to the plain loops. */
const MOST_TAPS = 64;

/** Channels computed together: one vector of inputs. */
function widthOf(math: LayerMath): number {
  return SUMS * math.pair;
}

/**
 * Weights [taps, channels] in the order of reading: for each block of channels its taps; for bytes two taps side by
 * side in every channel, since one multiplication takes both, and a zero after an odd last tap.
 */
function packTaps(math: LayerMath, taps: number, channels: number): Int16Array | Float32Array {
  const width = widthOf(math);
  const starts = blockStarts(channels, width);
  const rounds = Math.ceil(taps / math.pair);
  const length = starts.length * rounds * width * math.pair;
  const packed = math.pair === 2 ? new Int16Array(length) : new Float32Array(length);
  let at = 0;
  for (const start of starts) {
    for (let tap = 0; tap < taps; tap += math.pair) {
      for (let c = start; c < start + width; c++) {
        for (let t = tap; t < tap + math.pair; t++) packed[at++] = t < taps ? math.weights[t * channels + c]! : 0;
      }
    }
  }
  return packed;
}

/** Sums of eight channels: two taps at a time, lanes of both in turn, so that one multiplication takes and adds them. */
function bytePixel(k: KernelBuilder, math: LayerMath, x: readonly Expr[], weight: (vector: number) => Expr, start: readonly Expr[]): Expr[] {
  const sums = start.map((first, half) => k.variable(`sum${half}`, first));
  for (let tap = 0; tap < x.length; tap += 2) {
    const a = k.let("a", x[tap]!);
    const b = tap + 1 < x.length ? k.let("b", x[tap + 1]!) : a;
    for (const [half, order] of (["i16x8.interleave_low", "i16x8.interleave_high"] as const).entries()) {
      sums[half]!.set(math.multiplyAdd(sums[half]!.get(), vector(order, [a, b]), weight(tap + half)));
    }
  }
  return sums.map((sum) => sum.get());
}

function floatPixel(k: KernelBuilder, math: LayerMath, x: readonly Expr[], weight: (vector: number) => Expr, start: readonly Expr[]): Expr[] {
  const sum = k.variable("sum", start[0]!);
  x.forEach((value, tap) => sum.set(math.multiplyAdd(sum.get(), value, weight(tap))));
  return [sum.get()];
}

/** Nine taps of floats stay in registers while a row passes; more are read again for every pixel. */
function tapWeights(k: KernelBuilder, math: LayerMath, weights: Buffer, first: Expr, taps: number): (vector: number) => Expr {
  const lanes = SUMS * math.pair;
  const load = (v: number): Expr => vectorLoad(math.lanes, weights, first.add(v * lanes));
  if (math.pair === 2 || taps > 9) return load;
  const kept = Array.from({ length: taps }, (_, v) => k.let(`w${v}`, load(v)));
  return (v) => kept[v]!;
}

function depthwiseKernel(k: KernelBuilder, node: Node, math: LayerMath, layouts: NodeLayouts): KernelInstance {
  const a = attributesOf<DepthwiseAttributes>(node);
  const [, filterH, filterW, channels] = inputOf(node, 1).shape as [number, number, number, number];
  const [from, to] = [imagesOf(inputOf(node, 0).shape, layouts.inputs[0]!), imagesOf(outputOf(node).shape, layouts.outputs[0]!)];
  const [taps, width] = [filterH * filterW, widthOf(math)];
  const input = k.input(0, "x");
  const output = k.output(0, "y");
  const weights = k.constant("weights", math.pair === 2 ? "i16" : "f32", packTaps(math, taps, channels));
  const epilogue = math.epilogue(k, output, layouts.outputs[0]!);
  const offsets = Array.from(
    { length: taps },
    (_, t) => Math.floor(t / filterW) * (a.dilationH ?? 1) * from.row + (t % filterW) * (a.dilationW ?? 1) * channels,
  );
  const total = k.int("channels", channels);
  k.for("n", 0, k.int("batches", to.batches), (n) =>
    k.parallelFor("oy", 0, k.int("out_h", to.height), (oy) => {
      const first = from.first - a.padTop * from.row - a.padLeft * channels;
      const line = k.let(
        "line",
        n
          .mul(k.int("in_image", from.image))
          .add(oy.mul(k.int("in_step", a.strideH * from.row)))
          .add(k.int("in_first", first)),
      );
      const row = k.let(
        "row",
        n
          .mul(k.int("out_image", to.image))
          .add(oy.mul(k.int("out_row", to.row)))
          .add(k.int("out_first", to.first)),
      );
      k.for(
        "block",
        0,
        total,
        (block) => {
          const c = channels % width === 0 ? block : k.let("c", block.min(total.sub(width)));
          const weight = tapWeights(k, math, weights, k.let("weight", block.mul(Math.ceil(taps / math.pair) * math.pair)), taps);
          const start = epilogue.start(c, math.pair);
          const store = epilogue.finish(c, math.pair);
          k.for("ox", 0, k.int("out_w", to.width), (ox) => {
            const window = line.add(c).add(ox.mul(k.int("step", a.strideW * channels)));
            const x = offsets.map((offset) => vectorLoad(math.lanes, input, window.add(offset)));
            const sums = (math.pair === 2 ? bytePixel : floatPixel)(k, math, x, weight, start);
            store(sums, row.add(c).add(ox.mul(total)));
          });
        },
        width,
      );
    }),
  );
  clearBorder(k, output, layouts.outputs[0]!, to);
  return k.finish(`depthwise_conv2d_${math.pair === 2 ? "s8" : "f32"}_simd`, "Depthwise 2-D convolution, a vector of channels at a time.");
}

/** One output channel for each input channel, at least a vector of them. */
export const depthwiseSchedule: Schedule = (node) => {
  const a = attributesOf<DepthwiseAttributes>(node);
  const [, filterH, filterW, channels] = inputOf(node, 1).shape as [number, number, number, number];
  if (a.depthMultiplier !== 1 || filterH * filterW > MOST_TAPS) return undefined;
  const form = { channels, taps: filterH * filterW, first: (channel: number) => channel, step: channels };
  const math = byteMath(node, form, convMultipliers) ?? floatMath(node);
  if (math === undefined || channels < widthOf(math)) return undefined;
  const wish = { border: { top: a.padTop, bottom: a.padBottom, left: a.padLeft, right: a.padRight }, tail: 0 };
  const kernel: Kernel = (k, layouts) => depthwiseKernel(k, node, math, layouts);
  return Object.assign(kernel, { reads: [wish], writesAny: true });
};
