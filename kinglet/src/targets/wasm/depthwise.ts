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
import { type Columns, columnRow, columnTaps, DOT_TAIL, DOT_WIDTH, packColumns } from "./depthwise-dots.ts";
import { type ByteForm, byteMath, emptyLike, type Epilogue, floatMath, kernelName, type LayerMath, SUMS, type Weights, weightType } from "./layer.ts";
import { blockStarts } from "./tile.ts";

/** Taps that are written out one after another; larger windows are left to the plain loops. */
const MOST_TAPS = 64;

/** Channels computed together: one vector of inputs. */
function widthOf(math: LayerMath): number {
  return math.group === 4 ? DOT_WIDTH : SUMS * math.group;
}

/**
 * Weights [taps, channels] in the order of reading: for each block of channels its taps; for bytes two taps side by
 * side in every channel, since one multiplication takes both, and a zero after an odd last tap.
 */
function packTaps(math: LayerMath, taps: number, channels: number): Weights {
  const width = widthOf(math);
  const starts = blockStarts(channels, width);
  const rounds = Math.ceil(taps / math.group);
  const length = starts.length * rounds * width * math.group;
  const packed = emptyLike(math.weights, length);
  let at = 0;
  for (const start of starts) {
    for (let tap = 0; tap < taps; tap += math.group) {
      for (let c = start; c < start + width; c++) {
        for (let t = tap; t < tap + math.group; t++) packed[at++] = t < taps ? math.weights[t * channels + c]! : 0;
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
  const lanes = SUMS * math.group;
  const load = (v: number): Expr => vectorLoad(math.lanes, weights, first.add(v * lanes));
  if (math.group === 2 || taps > 9) return load;
  const kept = Array.from({ length: taps }, (_, v) => k.let(`w${v}`, load(v)));
  return (v) => kept[v]!;
}

/** Where a row of windows and a row of results begin, for a block of channels. */
interface Rows {
  readonly input: Buffer;
  readonly window: Expr;
  readonly channel: Expr;
  readonly width: Expr;
  /** Element of the first result. */
  readonly result: Expr;
}

/** What computes a row of results for a block of channels; the block's first channel finds its weights. */
type RowOf = (block: Expr, rows: Rows) => void;

/** Every tap of every pixel is loaded as it is needed. */
function tapRow(k: KernelBuilder, math: LayerMath, c: Columns, channels: number, epilogue: Epilogue): RowOf {
  const taps = c.filterH * c.filterW;
  const weights = k.constant("weights", weightType(math.weights), packTaps(math, taps, channels));
  const offsets = Array.from({ length: taps }, (_, t) => Math.floor(t / c.filterW) * c.below + (t % c.filterW) * c.beside);
  const rounds = Math.ceil(taps / math.group) * math.group;
  return (block, { input, window, channel, width, result }) => {
    const weight = tapWeights(k, math, weights, k.let("weight", block.mul(rounds)), taps);
    const start = epilogue.start(channel, math.group);
    const store = epilogue.finish(channel, math.group);
    k.for("ox", 0, width, (ox) => {
      const first = window.add(ox.mul(k.int("step", c.strideW * c.pixel)));
      const x = offsets.map((offset) => vectorLoad(math.lanes, input, first.add(offset)));
      store((math.group === 2 ? bytePixel : floatPixel)(k, math, x, weight, start), result.add(ox.mul(k.int("channels", channels))));
    });
  };
}

function dotRow(k: KernelBuilder, math: LayerMath, c: Columns, channels: number, epilogue: Epilogue): RowOf {
  const weights = k.constant("weights", "i8", packColumns(math, c, channels));
  return (block, { input, window, channel, width, result }) => {
    const weight = k.let("weight", block.mul(columnTaps(c)));
    const [start, store] = [epilogue.start(channel, 2), epilogue.finish(channel, 2)];
    columnRow(k, math, c, { input, weights, window: k.let("window", window), weight, width }, start, (sums, ox) =>
      store(sums, result.add(ox.mul(k.int("channels", channels)))),
    );
  };
}

function depthwiseKernel(k: KernelBuilder, node: Node, math: LayerMath, layouts: NodeLayouts): KernelInstance {
  const a = attributesOf<DepthwiseAttributes>(node);
  const [, filterH, filterW, channels] = inputOf(node, 1).shape as [number, number, number, number];
  const [from, to] = [imagesOf(inputOf(node, 0).shape, layouts.inputs[0]!), imagesOf(outputOf(node).shape, layouts.outputs[0]!)];
  const [below, beside] = [(a.dilationH ?? 1) * from.row, (a.dilationW ?? 1) * channels];
  const columns: Columns = { filterH, filterW, strideW: a.strideW, below, beside, pixel: channels };
  const width = widthOf(math);
  const input = k.input(0, "x");
  const output = k.output(0, "y");
  const rowOf = (math.group === 4 ? dotRow : tapRow)(k, math, columns, channels, math.epilogue(k, output, layouts.outputs[0]!));
  const total = k.int("channels", channels);
  k.for("n", 0, k.int("batches", to.batches), (n) =>
    k.parallelFor("oy", 0, k.int("out_h", to.height), (oy) => {
      const start = (name: "in" | "out", image: number, row: number, first: number): Expr =>
        n
          .mul(k.int(`${name}_image`, image))
          .add(oy.mul(k.int(`${name}_row`, row)))
          .add(k.int(`${name}_first`, first));
      const line = k.let("line", start("in", from.image, a.strideH * from.row, from.first - a.padTop * from.row - a.padLeft * channels));
      const row = k.let("row", start("out", to.image, to.row, to.first));
      k.for(
        "block",
        0,
        total,
        (block) => {
          const c = channels % width === 0 ? block : k.let("c", block.min(total.sub(width)));
          rowOf(block, { input, window: line.add(c), channel: c, width: k.int("out_w", to.width), result: row.add(c) });
        },
        width,
      );
    }),
  );
  clearBorder(k, output, layouts.outputs[0]!, to);
  return k.finish(kernelName("depthwise_conv2d", math), "Depthwise 2-D convolution, a vector of channels at a time.");
}

/** One output channel for each input channel, at least a vector of them. */
export const depthwiseScheduleFor =
  (bytes: ByteForm): Schedule =>
  (node) => {
    const a = attributesOf<DepthwiseAttributes>(node);
    const [, filterH, filterW, channels] = inputOf(node, 1).shape as [number, number, number, number];
    if (a.depthMultiplier !== 1 || filterH * filterW > MOST_TAPS) return undefined;
    const form = { channels, taps: filterH * filterW, first: (channel: number) => channel, step: channels };
    const math = byteMath(node, form, convMultipliers, bytes) ?? floatMath(node);
    if (math === undefined || channels < widthOf(math)) return undefined;
    const wish = { border: { top: a.padTop, bottom: a.padBottom, left: a.padLeft, right: a.padRight } };
    const dots = math.group === 4;
    const wished = { ...wish, tail: dots ? DOT_TAIL : 0, unsigned: dots };
    const kernel: Kernel = (k, layouts) => depthwiseKernel(k, node, math, layouts);
    return Object.assign(kernel, { reads: [wished], writesAny: true });
  };
