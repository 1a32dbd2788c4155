import { type Buffer, type Expr, intrinsic, type KernelBuilder, loadWord, type Variable } from "../../loops/index.ts";
import { loadWords, requantizeScaled, type ScaledResult } from "./scaled-layer.ts";

/** Pixels and channels of a tile: eight sums, two weight words and two input words are all registers there are. */
export const TILE_PIXELS = 4;
export const TILE_CHANNELS = 2;

/**
 * Widens one pixel of `depth` inputs into column `pixel` of the tile's inputs: for every four inputs the words of
 * (x0, x2) and of (256·x1 + 127 − x0, 256·x3 + 127 − x2); 127 − x0 is x0 with its low seven bits turned.
 */
export function widenPixel(k: KernelBuilder, source: Buffer, from: Expr, depth: Expr, tile: Buffer, pixel: Expr): void {
  k.for(
    "i",
    0,
    depth,
    (i) => {
      const word = k.let("word", loadWord(source, from.add(i)));
      const at = k.let("at", i.mul(2).add(pixel));
      tile.store(at, intrinsic("sxtb16", word));
      tile.store(at.add(TILE_PIXELS), word.xor(0x007f007f));
    },
    4,
  );
}

/** One group of four taps for the whole tile: the lanes as they are, then their second taps, widened only then. */
function addGroup(k: KernelBuilder, sums: readonly (readonly Variable[])[], tile: Buffer, at: Expr, weights: Buffer, tap: Expr, name: string): void {
  let words = sums.map((_, c) => k.let(`w${name}${c}`, loadWord(weights, tap.add(4 * c))));
  for (let half = 0; half < 2; half++) {
    if (half === 1) words = words.map((word, c) => k.let(`v${name}${c}`, intrinsic("sxtb16", word)));
    for (let p = 0; p < TILE_PIXELS; p += 2) {
      const x = [0, 1].map((n) => k.let(`x${name}${half}${p + n}`, tile.load(at.add(half * TILE_PIXELS + p + n))));
      sums.forEach((row, c) => {
        for (let n = 0; n < 2; n++) row[p + n]!.set(intrinsic("smlad", words[c]!, x[n]!, row[p + n]!.get()));
      });
    }
  }
}

export interface TileKernel {
  /** Of each channel: bias, then the words of its result. */
  readonly table: Buffer;
  readonly words: number;
  readonly result: ScaledResult;
  readonly weights: Buffer;
  readonly tile: Buffer;
  /** Taps, a multiple of four, and groups of four taps in a turn of the inner loop. */
  readonly depth: Expr;
  readonly groups: number;
  readonly channels: Expr;
}

/** Two channels of four pixels; gives the eight sums. */
function tileSums(k: KernelBuilder, t: TileKernel, oc: Expr): Variable[][] {
  const sums = Array.from({ length: TILE_CHANNELS }, (_, c) => {
    const bias = k.let(`bias${c}`, t.table.load(oc.add(c).mul(t.words)));
    return Array.from({ length: TILE_PIXELS }, (_, p) => k.variable(`acc${c}${p}`, bias));
  });
  const row = k.let("row", oc.mul(t.depth));
  k.for(
    "i4",
    0,
    t.depth,
    (i) => {
      const at = k.let("x_at", i.mul(2));
      const tap = k.let("tap", row.add(i.mul(TILE_CHANNELS)));
      for (let g = 0; g < t.groups; g++)
        addGroup(k, sums, t.tile, at.add(2 * TILE_PIXELS * g), t.weights, tap.add(4 * TILE_CHANNELS * g), t.groups === 1 ? "" : `${g}_`);
    },
    4 * t.groups,
  );
  return sums;
}

/** All channels of the four pixels in the tile; `left` is how many of them exist, where that may be fewer than four. */
export function storeTile(k: KernelBuilder, t: TileKernel, output: Buffer, to: Expr, left: Expr | null): void {
  k.for(
    "oc",
    0,
    t.channels,
    (oc) => {
      const sums = tileSums(k, t, oc);
      sums.forEach((row, c) => {
        const channel = k.let(`channel${c}`, oc.add(c));
        const words = loadWords(k, t.table, t.result, channel, String(c));
        row.forEach((sum, p) => {
          const write = (): void => {
            output.store(to.add(channel).add(t.channels.mul(p)), requantizeScaled(t.result, sum.get(), words));
          };
          if (left !== null && p > 0) k.if(left.gt(p), write);
          else write();
        });
      });
    },
    TILE_CHANNELS,
  );
}
