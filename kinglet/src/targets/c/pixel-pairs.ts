import { type Buffer, type Expr, i32, intrinsic, type KernelBuilder, type Variable } from "../../loops/index.ts";
import type { PortableResult } from "./portable-layer.ts";

/**
 * Two pixels in one word, x0 + 2^16·x1: one multiplication by a weight is two products. The halves hold as many
 * products as fit into 16 bits; a group of taps is that long. After a group its sum A = 2^16·h + l goes into T += A and
 * H += h. In the end H is the sum for x1, and T − 2^16·H the one for x0 (modulo 2^32, which no sum leaves).
 */
const HALF = 2 ** 15;

/** How much is computed together: as much as the registers of a machine hold. */
export interface PairShape {
  /** Pairs of pixels: each weight is loaded once for all of them. */
  readonly pairs: number;
  /** Output channels: each pair is loaded once for all of them. */
  readonly channels: number;
  /** Taps in a turn of the inner loop, at most, if that is a group. */
  readonly taps: number;
}

/** Cores with few registers, and with about thirty. */
export const FEW_REGISTERS: PairShape = { pairs: 2, channels: 1, taps: 4 };
export const MANY_REGISTERS: PairShape = { pairs: 2, channels: 4, taps: 2 };

/** Taps whose products fit into 16 bits whatever the inputs are: 4 or 2, or 0 where not even that is certain. */
export function groupTaps(rows: Int8Array, channels: number, taps: number): number {
  const fits = (size: number): boolean => {
    for (let c = 0; c < channels; c++) {
      for (let i = 0; i < taps; i += size) {
        const weights = rows.subarray(c * taps + i, c * taps + Math.min(taps, i + size));
        if (weights.reduce((sum, w) => sum + Math.abs(w), 0) * 128 >= HALF) return false;
      }
    }
    return true;
  };
  return taps > 2 && fits(4) ? 4 : fits(2) ? 2 : 0;
}

/** Rows of weights filled up to `depth` taps, `block` channels side by side: [channel / block][tap][channel % block]. */
export function packPairRows(rows: Int8Array, channels: number, taps: number, depth: number, block: number): Int8Array {
  const packed = new Int8Array(Math.ceil(channels / block) * block * depth);
  for (let c = 0; c < channels; c++) {
    for (let i = 0; i < taps; i++) packed[(Math.floor(c / block) * depth + i) * block + (c % block)] = rows[c * taps + i]!;
  }
  return packed;
}

/** Two inputs as one word. */
export function pairWord(x0: Expr, x1: Expr): Expr {
  return x0.add(x1.shl(16));
}

export interface PairTile {
  readonly result: PortableResult;
  readonly weights: Buffer;
  /** The tile's inputs: [tap][pair]. */
  readonly pairs: Buffer;
  /** Taps, filled up to whole groups, and of a group. */
  readonly depth: number;
  readonly group: number;
  readonly channels: Expr;
  readonly shape: PairShape;
}

interface PairSum {
  readonly total: Variable;
  readonly high: Variable;
}

/** A group's sum goes into a channel's sums of a pair of pixels. */
function addSum({ total, high }: PairSum, sum: Expr): void {
  total.set(intrinsic("addAside", total.get(), sum));
  high.set(intrinsic("addHighHalf", high.get(), sum));
}

/** Adds a group of taps to the sums of a block of channels. The group's inputs are held while weights come and go. */
function addGroupOfInputs(k: KernelBuilder, t: PairTile, sums: readonly (readonly PairSum[])[], tap: Expr, row: Expr): void {
  const taps = Array.from({ length: t.group }, (_, i) => tap.add(i));
  const x = Array.from({ length: t.shape.pairs }, (_, q) => taps.map((each, i) => k.let(`x${q}${i}`, t.pairs.load(each.mul(t.shape.pairs).add(q)))));
  sums.forEach((channel, c) => {
    const w = taps.map((each, i) => k.let(`w${c}${i}`, t.weights.load(row.add(each.mul(t.shape.channels)).add(c))));
    x.forEach((pair, q) => {
      const products = pair.map((value, i) => value.mul(w[i]!));
      const sum = k.let(
        "sum",
        products.reduce((a, b) => a.add(b)),
      );
      addSum(channel[q]!, sum);
    });
  });
}

/** The same for one channel and few registers: one weight is held while inputs come and go. */
function addGroupOfWeights(k: KernelBuilder, t: PairTile, sums: readonly PairSum[], tap: Expr, row: Expr): void {
  const group = sums.map((_, q) => k.variable(`sum${q}`, i32(0)));
  for (let i = 0; i < t.group; i++) {
    const w = k.let(`w${i}`, t.weights.load(row.add(tap).add(i)));
    group.forEach((sum, q) => {
      const x = k.let(`x${i}${q}`, t.pairs.load(tap.add(i).mul(t.shape.pairs).add(q)));
      sum.set(i === 0 ? x.mul(w) : intrinsic("addProduct", sum.get(), w, x));
    });
  }
  sums.forEach((each, q) => addSum(each, group[q]!.get()));
}

function addGroup(k: KernelBuilder, t: PairTile, sums: readonly (readonly PairSum[])[], tap: Expr, row: Expr): void {
  if (sums.length === 1) addGroupOfWeights(k, t, sums[0]!, tap, row);
  else addGroupOfInputs(k, t, sums, tap, row);
}

function groupsPerTurn(groups: number, most: number): number {
  return [4, 3, 2, 1].find((n) => n <= most && groups % n === 0)!;
}

/** The finished sums of a block of channels: [channel][pixel]. */
function blockSums(k: KernelBuilder, t: PairTile, oc: Expr): Expr[][] {
  const groups = t.depth / t.group;
  const sums: PairSum[][] = Array.from({ length: t.shape.channels }, () =>
    Array.from({ length: t.shape.pairs }, () => ({ total: k.variable("total", i32(0)), high: k.variable("high", i32(0)) })),
  );
  const row = k.let("row", oc.mul(k.int("depth", t.depth)));
  const unrolled = groupsPerTurn(groups, Math.max(1, t.shape.taps / t.group));
  k.for(
    "i",
    0,
    k.int("depth", t.depth),
    (i) => {
      for (let g = 0; g < unrolled; g++) addGroup(k, t, sums, i.add(g * t.group), row);
    },
    unrolled * t.group,
  );
  return sums.map((pairs, c) => {
    const bias = k.let("bias", t.result.bias(oc.add(c)));
    const bits = t.result.scaleBits;
    return pairs.flatMap(({ total, high }) => [
      k.let("first", bias.wrapAdd(total.get().wrapSub(high.get().shl(16)).shl(bits))),
      k.let("second", bias.wrapAdd(high.get().shl(bits))),
    ]);
  });
}

/** All channels of the tile's pixels; `to` is where the results of each go. */
export function storePairs(k: KernelBuilder, t: PairTile, output: Buffer, to: readonly Expr[]): void {
  k.for(
    "oc",
    0,
    t.channels,
    (oc) => {
      blockSums(k, t, oc).forEach((pixels, c) => {
        const stored = t.result.channel(k, oc.add(c));
        pixels.forEach((sum, p) => output.store(to[p]!.add(oc).add(c), stored(sum)));
      });
    },
    t.shape.channels,
  );
}
