import { type Buffer, type Expr, intrinsic, type KernelBuilder, loadWord, type Variable } from "../../loops/index.ts";
import { requantizeScaled, type ScaledResult, scaledResult, wordNames } from "./scaled-layer.ts";
import type { WeightStream } from "./stream.ts";

/** Channels of a tile. With four pixels the eight sums, two weight words, two input words and two pointers are all registers there are. */
export const TILE_CHANNELS = 2;

/**
 * Widens `words` words of as many pixels as `from` has: for every four inputs of a pixel the words of (x0, x2) and of
 * (256·x1 + 127 − x0, 256·x3 + 127 − x2); 127 − x0 is x0 with its low seven bits turned. Order: [input / 4][word][pixel].
 */
export function widenPixels(k: KernelBuilder, source: Buffer, from: readonly Expr[], words: Expr, tile: Buffer): void {
  k.for("i", 0, words, (i) => {
    const at = k.let("at", i.mul(2 * from.length));
    const inputs = from.map((start, p) => k.let(`word${p}`, loadWord(source, start.add(i.mul(4)))));
    inputs.forEach((word, p) => tile.store(at.add(p), intrinsic("sxtb16", word)));
    inputs.forEach((word, p) => tile.store(at.add(from.length + p), word.xor(0x007f007f)));
  });
}

/** How large the code of a tile may get: groups of four taps in a turn of the inner loop, at most. */
export interface TileShape {
  readonly unroll: number;
  /** Pixels of a tile, at most. */
  readonly pixels: number;
}

export interface TileKernel {
  /** Biases, weight pairs and result words of two channels at a time (see `packStream`). */
  readonly stream: Buffer;
  readonly blockWords: Expr;
  readonly blocks: Expr;
  readonly result: ScaledResult;
  readonly tile: Buffer;
  readonly pixels: number;
  /** Groups of four taps, and how many of them go into a turn of the inner loop. */
  readonly groups: Expr;
  readonly unroll: number;
  readonly channels: Expr;
}

/** Four pixels; three where they then fill tiles with less waste. A group costs 23 instructions with four and 19 with three. */
export function tilePixelsFor(pixels: number, shape: TileShape): number {
  return shape.pixels < 4 ? shape.pixels : 19 * Math.ceil(pixels / 3) < 23 * Math.ceil(pixels / 4) ? 3 : 4;
}

/** The largest number of groups in a turn that divides them all and does not exceed the limit. */
export function unrollFor(groups: number, limit: number): number {
  let unroll = Math.min(groups, limit);
  while (groups % unroll !== 0) unroll--;
  return unroll;
}

export function tileKernel(k: KernelBuilder, s: WeightStream, pixels: number, channels: number, shape: TileShape): TileKernel {
  return {
    stream: k.constant("stream", "i32", s.words),
    blockWords: k.int("block_words", s.blockWords),
    blocks: k.int("blocks", channels / TILE_CHANNELS),
    result: scaledResult(k, s.layer),
    tile: k.scratch("tile", "i32", (pixels * s.depth) / 2),
    pixels,
    groups: k.int("groups", s.depth / 4),
    unroll: unrollFor(s.depth / 4, shape.unroll),
    channels: k.int("out_c", channels),
  };
}

/** One group of four taps for the whole tile: the lanes as they are, then their second taps, widened only then. Loads go in pairs. */
function addGroup(k: KernelBuilder, t: TileKernel, sums: readonly (readonly Variable[])[], x: Expr, w: Expr, name: string): void {
  let words = sums.map((_, c) => k.let(`w${name}${c}`, t.stream.load(w.add(c))));
  for (let half = 0; half < 2; half++) {
    if (half === 1) words = words.map((word, c) => k.let(`v${name}${c}`, intrinsic("sxtb16", word)));
    for (let first = 0; first < t.pixels; first += 2) {
      const pair = Array.from({ length: Math.min(2, t.pixels - first) }, (_, n) => first + n);
      const inputs = pair.map((p) => k.let(`x${name}${half}${p}`, t.tile.load(x.add(half * t.pixels + p))));
      sums.forEach((row, c) => {
        pair.forEach((p, n) => row[p]!.set(intrinsic("smlad", words[c]!, inputs[n]!, row[p]!.get())));
      });
    }
  }
}

/** Two channels of the tile's pixels from the block at `base`; gives the sums by channel and pixel. */
function tileSums(k: KernelBuilder, t: TileKernel, base: Expr): Variable[][] {
  const biases = Array.from({ length: TILE_CHANNELS }, (_, c) => k.let(`bias${c}`, t.stream.load(base.add(c))));
  const sums = biases.map((bias, c) => Array.from({ length: t.pixels }, (_, p) => k.variable(`acc${c}${p}`, bias)));
  const start = base.add(TILE_CHANNELS);
  k.for(
    "group",
    0,
    t.groups,
    (group) => {
      const x = k.let("x_at", group.mul(2 * t.pixels));
      const w = k.let("w_at", start.add(group.mul(TILE_CHANNELS)));
      for (let g = 0; g < t.unroll; g++) addGroup(k, t, sums, x.add(2 * t.pixels * g), w.add(TILE_CHANNELS * g), t.unroll === 1 ? "" : `${g}_`);
    },
    t.unroll,
  );
  return sums;
}

/** All channels of the tile's pixels; `left` is how many of them exist, where that may be fewer. */
export function storeTile(k: KernelBuilder, t: TileKernel, output: Buffer, to: Expr, left: Expr | null): void {
  k.for("block", 0, t.blocks, (block) => {
    const base = k.let("base", block.mul(t.blockWords));
    const sums = tileSums(k, t, base);
    const end = k.let("end", base.add(TILE_CHANNELS).add(t.groups.mul(TILE_CHANNELS)));
    const names = wordNames(t.result);
    const words = sums.map((_, c) => names.map((name, i) => k.let(`${name}${c}`, t.stream.load(end.add(TILE_CHANNELS * i + c)))));
    const at = k.let("y_at", to.add(block.mul(TILE_CHANNELS)));
    for (let p = 0; p < t.pixels; p++) {
      const write = (): void =>
        sums.forEach((row, c) => output.store(at.add(t.channels.mul(p)).add(c), requantizeScaled(t.result, row[p]!.get(), words[c]!)));
      if (left !== null && p > 0) k.if(left.gt(p), write);
      else write();
    }
  });
}
