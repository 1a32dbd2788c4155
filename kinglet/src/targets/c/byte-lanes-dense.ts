import type { Node } from "../../graph/index.ts";
import { type Buffer, type Expr, i32, intrinsic, type KernelBuilder, type Variable } from "../../loops/index.ts";
import { denseMultipliers, inputOf, outputOf, type Schedule } from "../../ops/index.ts";
import {
  EVEN_LANES,
  EVEN_RAISE,
  type Excess,
  HALF,
  LANES,
  type LanedWeights,
  limitGroups,
  packByteLanes,
  packHalfLanes,
  SHIFTED_RAISE,
} from "./byte-lanes.ts";
import { rowForm } from "./layer.ts";
import { planPortable, type PortablePlan, type PortableResult } from "./portable-layer.ts";

/** What a core's loads and registers want of the kernel. */
export interface LaneShape {
  /** Words of four channels that share each load of an input, at most. */
  readonly words: number;
  /**
   * True where inputs are widened to words, each group behind what its sums start from: Armv6-M loads bytes with their sign
   * only by an index, and this way one pointer does for all that channels share.
   */
  readonly widened: boolean;
  /**
   * Layers whose groups are at most this long have words of two channels instead, twice as many bytes: groups that end often
   * and words that are taken apart are together too much for them.
   */
  readonly longestOfHalves: number;
}

export const FEW_REGISTER_LANES: LaneShape = { words: 1, widened: true, longestOfHalves: 0 };
export const MANY_REGISTER_LANES: LaneShape = { words: 2, widened: false, longestOfHalves: 8 };

/** Taps of a group, tried in this order, and about what its end and an excess weight cost in instructions. */
const GROUPS = [16, 8, 4];
const GROUP_COST = 11;
const EXCESS_COST = 9;

interface LaneLayer {
  readonly plan: PortablePlan;
  readonly weights: LanedWeights;
  readonly channels: number;
  readonly taps: number;
  readonly group: number;
  readonly words: number;
  /** Channels in a word: four, or two. */
  readonly lanes: number;
  readonly widened: boolean;
}

/** The group length that costs least. */
function bestGroup(rows: Int8Array, channels: number, taps: number): { group: number; weights: LanedWeights } | undefined {
  let best: { group: number; weights: LanedWeights; cost: number } | undefined;
  for (const group of GROUPS.filter((length) => taps % length === 0)) {
    const weights = limitGroups(rows, channels, taps, group);
    const count = weights.excess.reduce((sum, list) => sum + list.length, 0);
    const cost = (GROUP_COST * channels * taps) / (group * LANES) + EXCESS_COST * count;
    if (count <= (channels * taps) / 16 && (best === undefined || cost < best.cost)) best = { group, weights, cost };
  }
  return best;
}

function laneLayer(node: Node, shape: LaneShape): LaneLayer | undefined {
  const [w, y] = [inputOf(node, 1).shape, outputOf(node).shape];
  const [channels, taps] = [w[0]!, w[w.length - 1]!];
  if (channels % LANES !== 0 || y.reduce((p, d) => p * d, 1) !== channels) return undefined;
  const words = (channels / LANES) % shape.words === 0 ? shape.words : 1;
  const plan = planPortable(node, denseMultipliers, "byteLanes", rowForm(node, LANES * words));
  const best = plan === undefined ? undefined : bestGroup(plan.weights, channels, taps);
  if (plan === undefined || best === undefined) return undefined;
  const halves = best.group <= shape.longestOfHalves;
  return { plan, ...best, channels, taps, lanes: halves ? 2 : LANES, words: halves ? 2 * words : words, widened: shape.widened };
}

interface Kernel {
  readonly k: KernelBuilder;
  readonly layer: LaneLayer;
  readonly input: Buffer;
  readonly weights: Buffer;
  /** Of each group what E and C start from, and where inputs are widened the group's inputs. */
  readonly starts: Buffer | undefined;
  readonly result: PortableResult;
  readonly output: Buffer;
  readonly taps: Expr;
  /** Taps and weights of what lanes do not hold, in pairs, and where the pairs of each channel begin. */
  readonly excess?: { readonly pairs: Buffer; readonly from: Buffer };
}

/** Sums of two channels: the upper one's, and those of both in a word. */
interface LaneSum {
  readonly total: Variable;
  readonly high: Variable;
}

/** Of a word with four channels the lanes 0 and 2, then 1 and 3; of a word with two both. */
type WordSums = readonly LaneSum[];

/** Words of a group in `starts`. */
function groupWords({ group, widened }: LaneLayer): number {
  return widened ? 2 + group : 2;
}

function startGroups({ k, layer, input, starts }: Kernel): void {
  if (starts === undefined) return;
  const { group, widened } = layer;
  k.for("group", 0, k.int("groups", layer.taps / group), (index) => {
    const [from, at] = [k.let("from", index.mul(group)), k.let("at", index.mul(groupWords(layer)))];
    const sum = k.variable("sum", i32(0));
    k.for("i", 0, group, (i) => {
      const x = k.let("value", input.load(from.add(i)));
      if (widened) starts.store(at.add(2).add(i), x);
      sum.set(sum.get().add(x));
    });
    starts.store(at, i32(HALF).wrapSub(sum.get().wrapMul(EVEN_RAISE)));
    starts.store(at.add(1), i32(HALF).wrapSub(sum.get().wrapMul(SHIFTED_RAISE)));
  });
}

function add(sum: Variable, value: Expr): void {
  sum.set(intrinsic("addAside", sum.get(), value));
}

/** Adds a group of taps to the sums of a block. */
function addGroup({ k, layer, input, weights }: Kernel, starts: Buffer, sums: readonly WordSums[], index: Expr, block: Expr): void {
  const { group, words } = layer;
  const tap = k.let("tap", index.mul(group));
  const at = k.let("start_at", index.mul(groupWords(layer)));
  const even = sums.map((_, j) => k.variable(`even${j}`, starts.load(at)));
  const shifted = sums.map((_, j) => k.variable(`shifted${j}`, starts.load(at.add(1))));
  const w = k.let("w_at", block.add(tap.mul(words)));
  for (let i = 0; i < group; i++) {
    const x = k.let(`x${i}`, layer.widened ? starts.load(at.add(2 + i)) : input.load(tap.add(i)));
    sums.forEach((_, j) => {
      const four = k.let(`w${i}${j}`, weights.load(w.add(i * words + j)));
      shifted[j]!.set(intrinsic("addShiftedProduct", shifted[j]!.get(), x, four));
      even[j]!.set(intrinsic("addMaskedProduct", even[j]!.get(), x, four, i32(EVEN_LANES)));
    });
  }
  sums.forEach((word, j) => {
    const [lanes02, lanes13] = word as [LaneSum, LaneSum];
    add(lanes02.total, even[j]!.get());
    const high = k.let(`high${j}`, even[j]!.get().shr(16));
    add(lanes02.high, high);
    const odd = k.let(`odd${j}`, shifted[j]!.get().wrapSub(high.shl(8)));
    add(lanes13.total, odd);
    add(lanes13.high, odd.shr(16));
  });
}

/** The same for words of two channels. */
function addGroupOfHalves({ k, layer, input, weights }: Kernel, sums: readonly WordSums[], index: Expr, block: Expr): void {
  const { group, words } = layer;
  const tap = k.let("tap", index.mul(group));
  const w = k.let("w_at", block.add(tap.mul(words)));
  const both = sums.map((_, j) => k.variable(`both${j}`, i32(0)));
  for (let i = 0; i < group; i++) {
    const x = k.let(`x${i}`, input.load(tap.add(i)));
    both.forEach((sum, j) => {
      const two = k.let(`w${i}${j}`, weights.load(w.add(i * words + j)));
      sum.set(i === 0 ? x.wrapMul(two) : intrinsic("addProduct", sum.get(), x, two));
    });
  }
  sums.forEach(([lanes], j) => {
    add(lanes!.total, both[j]!.get());
    lanes!.high.set(intrinsic("addHighHalf", lanes!.high.get(), both[j]!.get()));
  });
}

/** The sums of a word's channels in their order. */
function channelSums(k: KernelBuilder, word: WordSums): Expr[] {
  return [...word.map(({ total, high }) => k.let("low", total.get().wrapSub(high.get().shl(16)))), ...word.map(({ high }) => high.get())];
}

/** What lanes do not hold of a channel. */
function addExcess({ k, input, excess }: Kernel, channel: Expr, sum: Expr): Expr {
  if (excess === undefined) return sum;
  const whole = k.variable("whole", sum);
  k.for("e", excess.from.load(channel), excess.from.load(channel.add(1)), (e) => {
    const product = input.load(excess.pairs.load(e.mul(2))).mul(excess.pairs.load(e.mul(2).add(1)));
    whole.set(whole.get().add(product));
  });
  return whole.get();
}

function storeBlock(kernel: Kernel, oc: Expr): void {
  const { k, layer, result, taps, starts } = kernel;
  // Groups that start from an offset of their low halves add it up; sums begin that much below.
  const begin = i32(starts === undefined ? 0 : -HALF * (layer.taps / layer.group));
  const sums = Array.from({ length: layer.words }, (_, j) =>
    Array.from({ length: layer.lanes / 2 }, (_, n) => ({ total: k.variable(`total${n}_${j}`, begin), high: k.variable(`high${n}_${j}`, i32(0)) })),
  );
  const block = k.let("block", oc.mul(taps).shr(Math.log2(layer.lanes)));
  k.for("group", 0, k.int("groups", layer.taps / layer.group), (group) =>
    starts === undefined ? addGroupOfHalves(kernel, sums, group, block) : addGroup(kernel, starts, sums, group, block),
  );
  sums.forEach((word, j) => {
    channelSums(k, word).forEach((lanes, c) => {
      const channel = k.let("channel", oc.add(layer.lanes * j + c));
      const sum = addExcess(kernel, channel, lanes);
      const finished = k.let("finished", result.bias(channel).wrapAdd(sum.shl(result.scaleBits)));
      kernel.output.store(channel, result.channel(k, channel)(finished));
    });
  });
}

function excessTables(k: KernelBuilder, excess: readonly (readonly Excess[])[]): Kernel["excess"] {
  if (excess.every((list) => list.length === 0)) return undefined;
  const from = [0];
  for (const list of excess) from.push(from[from.length - 1]! + list.length);
  const pairs = excess.flat().flatMap(({ tap, weight }) => [tap, weight]);
  return { pairs: k.constant("excess", "i16", Int16Array.from(pairs)), from: k.constant("excess_from", "u16", Uint16Array.from(from)) };
}

function kernelOf(k: KernelBuilder, layer: LaneLayer): Kernel {
  const { channels, taps, group, words, lanes } = layer;
  const pack = lanes === 2 ? packHalfLanes : packByteLanes;
  const input = k.input(0, "x");
  const excess = excessTables(k, layer.weights.excess);
  return {
    k,
    layer,
    input,
    weights: k.constant("w", "i32", pack(layer.weights.rows, channels, taps, words)),
    starts: lanes === 2 ? undefined : k.scratch("starts", "i32", (groupWords(layer) * taps) / group),
    result: layer.plan.result(k),
    output: k.output(0, "y"),
    taps: k.int("taps", taps),
    ...(excess === undefined ? {} : { excess }),
  };
}

/** Rows of one vector with weights in the bytes of words, else `otherwise`. */
export function byteLanesDenseSchedule(shape: LaneShape, otherwise: Schedule): Schedule {
  return (node, walk, room) => {
    const layer = laneLayer(node, shape);
    if (layer === undefined) return otherwise(node, walk, room);
    return (k) => {
      const kernel = kernelOf(k, layer);
      startGroups(kernel);
      k.for("oc", 0, k.int("out_c", layer.channels), (oc) => storeBlock(kernel, oc), layer.lanes * layer.words);
      return k.finish("dense_lanes_s8", "Rows of one vector: four channels' weights in a word, two products in one.", { asWritten: true });
    };
  };
}
