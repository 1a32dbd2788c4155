import type { Node } from "../../graph/index.ts";
import { type Buffer, type Expr, i32, intrinsic, type KernelBuilder, type KernelInstance, loadWord, type Variable } from "../../loops/index.ts";
import { convMultipliers, denseMultipliers, inputOf, type MultiplierRule, outputOf, type Schedule } from "../../ops/index.ts";
import { rowForm } from "./layer.ts";
import { pairBias } from "./lanes.ts";
import { scaledNotes, planScaledLayer, requantizeScaled, type ScaledResult, scaledResult, wordNames } from "./scaled-layer.ts";
import { packStream, PAIRS } from "./stream.ts";
import { type TileShape, unrollFor } from "./tile.ts";

/** Output channels that share each load of an input word. */
const CHANNELS = 4;

interface DenseKernel {
  readonly input: Buffer;
  readonly stream: Buffer;
  readonly result: ScaledResult;
  readonly groups: Expr;
  readonly unroll: number;
}

/** Four taps of four channels: one input word against four words of weight pairs. */
function addGroup(k: KernelBuilder, d: DenseKernel, sums: readonly Variable[], x: Expr, w: Expr, name: string): void {
  const word = k.let(`x${name}`, loadWord(d.input, x));
  const firsts = k.let(`firsts${name}`, intrinsic("sxtb16", word));
  const seconds = k.let(`seconds${name}`, word.xor(0x007f007f));
  for (let c = 0; c < CHANNELS; c += 2) {
    const lanes = [0, 1].map((n) => k.let(`w${name}_${c + n}`, d.stream.load(w.add(c + n))));
    lanes.forEach((lane, n) => sums[c + n]!.set(intrinsic("smlad", lane, firsts, sums[c + n]!.get())));
    lanes.forEach((lane, n) => sums[c + n]!.set(intrinsic("smlad", intrinsic("sxtb16", lane), seconds, sums[c + n]!.get())));
  }
}

/** Four channels of one row, from the block at `base`: biases, weights and result words in reading order. */
function storeBlock(k: KernelBuilder, d: DenseKernel, from: Expr, base: Expr, output: Buffer, to: Expr): void {
  const sums = Array.from({ length: CHANNELS }, (_, c) => k.variable(`acc${c}`, d.stream.load(base.add(c))));
  const start = base.add(CHANNELS);
  k.for(
    "group",
    0,
    d.groups,
    (group) => {
      const x = k.let("x_at", from.add(group.mul(4)));
      const w = k.let("w_at", start.add(group.mul(CHANNELS)));
      for (let g = 0; g < d.unroll; g++) addGroup(k, d, sums, x.add(4 * g), w.add(CHANNELS * g), String(g));
    },
    d.unroll,
  );
  const end = k.let("end", start.add(d.groups.mul(CHANNELS)));
  sums.forEach((sum, c) => {
    const words = wordNames(d.result).map((name, i) => k.let(`${name}${c}`, d.stream.load(end.add(CHANNELS * i + c))));
    output.store(to.add(c), requantizeScaled(d.result, sum.get(), words));
  });
}

/** Rows of a fully connected layer, or the few pixels of a 1x1 convolution, four channels at a time. */
function denseKernel(node: Node, rule: MultiplierRule, shape: TileShape): ((k: KernelBuilder) => KernelInstance) | undefined {
  const w = inputOf(node, 1).shape;
  const [channels, depth] = [w[0]!, w[w.length - 1]!];
  if (depth % 4 !== 0 || channels % CHANNELS !== 0) return undefined;
  const layer = planScaledLayer(node, rule, "lanes", { ...rowForm(node, CHANNELS), scaledBias: pairBias });
  const s = layer === undefined ? undefined : packStream(layer, channels, depth, CHANNELS);
  if (layer === undefined || s === undefined) return undefined;
  return (k) => {
    const input = k.input(0, "x");
    const output = k.output(0, "y");
    const groups = k.int("groups", depth / 4);
    const d: DenseKernel = {
      input,
      stream: k.constant("stream", "i32", s.words),
      result: scaledResult(k, layer),
      groups,
      unroll: unrollFor(depth / 4, shape),
    };
    const rows = outputOf(node).shape.reduce((p, size) => p * size, 1) / channels;
    const storeRow = (from: Expr, to: Expr): void =>
      k.for("block", 0, k.int("blocks", channels / CHANNELS), (block) => {
        const base = k.let("base", block.mul(k.int("block_words", s.blockWords)));
        storeBlock(k, d, from, base, output, k.let("y_at", to.add(block.mul(CHANNELS))));
      });
    if (rows === 1) storeRow(i32(0), i32(0));
    else
      k.for("row", 0, k.int("rows", rows), (row) =>
        storeRow(k.let("from", row.mul(k.int("depth", depth))), k.let("to", row.mul(k.int("out_c", channels)))),
      );
    return {
      ...k.finish("dense_pairs_s8", "Rows of a matrix product, four channels at a time, two weights in a lane.", { asWritten: true }),
      notes: scaledNotes(layer, PAIRS),
    };
  };
}

/** Fully connected layers with weight pairs where they are proved, else `otherwise`. */
export function pairDenseSchedule(shape: TileShape, otherwise: Schedule): Schedule {
  return (node) => denseKernel(node, denseMultipliers, shape) ?? otherwise(node);
}

/** 1x1 convolutions of fewer pixels than a tile has. */
export function fewPixelsKernel(node: Node, shape: TileShape): ((k: KernelBuilder) => KernelInstance) | undefined {
  return denseKernel(node, convMultipliers, shape);
}
