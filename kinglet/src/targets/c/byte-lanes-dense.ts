import type { Node } from "../../graph/index.ts";
import { type Buffer, type Expr, i32, intrinsic, type KernelBuilder, type Variable } from "../../loops/index.ts";
import { denseMultipliers, inputOf, outputOf, type Schedule } from "../../ops/index.ts";
import { EVEN_LANES, EVEN_RAISE, type Excess, HALF, LANES, type LanedWeights, limitGroups, packByteLanes, SHIFTED_RAISE } from "./byte-lanes.ts";
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
}

export const FEW_REGISTER_LANES: LaneShape = { words: 1, widened: true };
export const MANY_REGISTER_LANES: LaneShape = { words: 2, widened: false };

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
  return plan === undefined || best === undefined ? undefined : { plan, ...best, channels, taps, words, widened: shape.widened };
}

interface Kernel {
  readonly k: KernelBuilder;
  readonly layer: LaneLayer;
  readonly input: Buffer;
  readonly weights: Buffer;
  /** Of each group what E and C start from, and where inputs are widened the group's inputs. */
  readonly starts: Buffer;
  readonly result: PortableResult;
  readonly output: Buffer;
  readonly taps: Expr;
  /** Taps and weights of what lanes do not hold, in pairs, and where the pairs of each channel begin. */
  readonly excess?: { readonly pairs: Buffer; readonly from: Buffer };
}

/** Sums of a word's four channels: T and H of the lanes 0 and 2, and of 1 and 3. H is the upper lane; T has both. */
type LaneSums = readonly [Variable, Variable, Variable, Variable];

/** Words of a group in `starts`. */
function groupWords({ group, widened }: LaneLayer): number {
  return widened ? 2 + group : 2;
}

function startGroups({ k, layer, input, starts }: Kernel): void {
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
function addGroup({ k, layer, input, weights, starts }: Kernel, sums: readonly LaneSums[], index: Expr, block: Expr): void {
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
  sums.forEach(([total02, high02, total13, high13], j) => {
    add(total02, even[j]!.get());
    const high = k.let(`high${j}`, even[j]!.get().shr(16));
    add(high02, high);
    const odd = k.let(`odd${j}`, shifted[j]!.get().wrapSub(high.shl(8)));
    add(total13, odd);
    add(high13, odd.shr(16));
  });
}

/** The sums of a word's channels in their order. */
function channelSums(k: KernelBuilder, [total02, high02, total13, high13]: LaneSums): Expr[] {
  const low = (total: Variable, high: Variable): Expr => k.let("low", total.get().wrapSub(high.get().shl(16)));
  return [low(total02, high02), low(total13, high13), high02.get(), high13.get()];
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
  const { k, layer, result, taps } = kernel;
  // Sums of both kinds begin so far below that the low halves' offsets are gone in the end.
  const begin = i32(-HALF * (layer.taps / layer.group));
  const sums = Array.from({ length: layer.words }, (_, j): LaneSums => {
    const [total02, high02] = [k.variable(`total02_${j}`, begin), k.variable(`high02_${j}`, i32(0))];
    return [total02, high02, k.variable(`total13_${j}`, begin), k.variable(`high13_${j}`, i32(0))];
  });
  const block = k.let("block", oc.mul(taps).shr(Math.log2(LANES)));
  k.for("group", 0, k.int("groups", layer.taps / layer.group), (group) => addGroup(kernel, sums, group, block));
  sums.forEach((word, j) => {
    channelSums(k, word).forEach((lanes, c) => {
      const channel = k.let("channel", oc.add(LANES * j + c));
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
  const { channels, taps, group, words } = layer;
  const input = k.input(0, "x");
  const excess = excessTables(k, layer.weights.excess);
  return {
    k,
    layer,
    input,
    weights: k.constant("w", "i32", packByteLanes(layer.weights.rows, channels, taps, words)),
    starts: k.scratch("starts", "i32", (groupWords(layer) * taps) / group),
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
      k.for("oc", 0, k.int("out_c", layer.channels), (oc) => storeBlock(kernel, oc), LANES * layer.words);
      return k.finish("dense_lanes_s8", "Rows of one vector: four channels' weights in a word, two products in one.", { asWritten: true });
    };
  };
}
