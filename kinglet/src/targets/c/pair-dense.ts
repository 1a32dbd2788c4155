import type { Node } from "../../graph/index.ts";
import { type Buffer, type Expr, intrinsic, type KernelBuilder, type KernelInstance, loadWord, type Variable } from "../../loops/index.ts";
import { denseMultipliers, inputOf, outputOf, type Schedule } from "../../ops/index.ts";
import { rowForm } from "./layer.ts";
import { pairBias } from "./lanes.ts";
import { planScaledLayer, requantizeScaled, scaledResult, wordNames } from "./scaled-layer.ts";
import { packStream, type WeightStream } from "./stream.ts";

/** Output channels that share each load of an input word. */
const CHANNELS = 4;

/** Four taps of four channels: one input word against four words of weight pairs. */
function addGroup(k: KernelBuilder, sums: readonly Variable[], word: Expr, stream: Buffer, at: Expr, name: string): void {
  const firsts = k.let(`firsts${name}`, intrinsic("sxtb16", word));
  const seconds = k.let(`seconds${name}`, word.xor(0x007f007f));
  for (let c = 0; c < CHANNELS; c += 2) {
    const lanes = [0, 1].map((n) => k.let(`w${name}_${c + n}`, stream.load(at.add(c + n))));
    lanes.forEach((lane, n) => sums[c + n]!.set(intrinsic("smlad", lane, firsts, sums[c + n]!.get())));
    lanes.forEach((lane, n) => sums[c + n]!.set(intrinsic("smlad", intrinsic("sxtb16", lane), seconds, sums[c + n]!.get())));
  }
}

/** Groups of four taps in a turn of the inner loop. */
function groupsFor(depth: number): number {
  return depth % 16 === 0 ? 4 : depth % 8 === 0 ? 2 : 1;
}

/** Four channels of one row: biases, weights and result words in reading order. */
function storeBlock(
  k: KernelBuilder,
  s: WeightStream,
  input: Buffer,
  from: Expr,
  stream: Buffer,
  base: Expr,
  store: (c: number, sum: Expr, words: Expr[]) => void,
): void {
  const sums = Array.from({ length: CHANNELS }, (_, c) => k.variable(`acc${c}`, stream.load(base.add(c))));
  const depth = k.int("depth", s.depth);
  const groups = groupsFor(s.depth);
  k.for(
    "i",
    0,
    depth,
    (i) => {
      const at = k.let("at", base.add(i).add(CHANNELS));
      for (let g = 0; g < groups; g++) addGroup(k, sums, k.let(`x${g}`, loadWord(input, from.add(i).add(4 * g))), stream, at.add(4 * g), String(g));
    },
    4 * groups,
  );
  const end = k.let("end", base.add(depth).add(CHANNELS));
  sums.forEach((sum, c) => {
    const words = wordNames(s.layer).map((name, i) => k.let(`${name}${c}`, stream.load(end.add(CHANNELS * i + c))));
    store(c, sum.get(), words);
  });
}

function denseKernel(node: Node): ((k: KernelBuilder) => KernelInstance) | undefined {
  const [channels, depth] = inputOf(node, 1).shape as [number, number];
  if (depth % 4 !== 0 || channels % CHANNELS !== 0) return undefined;
  const layer = planScaledLayer(node, denseMultipliers, "lanes4", { ...rowForm(node, CHANNELS), scaledBias: pairBias });
  const s = layer === undefined ? undefined : packStream(layer, channels, depth, CHANNELS);
  if (layer === undefined || s === undefined) return undefined;
  return (k) => {
    const input = k.input(0, "x");
    const stream = k.constant("stream", "i32", s.words);
    const result = scaledResult(k, layer);
    const output = k.output(0, "y");
    const rows = outputOf(node).shape.reduce((p, d) => p * d, 1) / channels;
    const outC = k.int("out_c", channels);
    k.for("row", 0, k.int("rows", rows), (row) => {
      const from = k.let("from", row.mul(k.int("depth", depth)));
      const to = k.let("to", row.mul(outC));
      k.for("block", 0, k.int("blocks", channels / CHANNELS), (block) => {
        const base = k.let("base", block.mul(k.int("block_words", s.blockWords)));
        storeBlock(k, s, input, from, stream, base, (c, sum, words) =>
          output.store(to.add(block.mul(CHANNELS)).add(c), requantizeScaled(result, sum, words)),
        );
      });
    });
    return k.finish("dense_pairs_s8", "Fully connected layer, four channels at a time, two weights in a lane.");
  };
}

/** Fully connected layers with weight pairs where they are proved, else `otherwise`. */
export function pairDenseSchedule(otherwise: Schedule): Schedule {
  return (node) => denseKernel(node) ?? otherwise(node);
}
