import { elementCount } from "../../base/index.ts";
import type { Node } from "../../graph/index.ts";
import { type Buffer, type Expr, type Func, intrinsic, type KernelBuilder, loadWord, type Variable } from "../../loops/index.ts";
import { inputOf, outputOf } from "../../ops/index.ts";
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

/** How kernels of tiles are written. */
export interface TileShape {
  /** Few kinds of kernels that many layers share, or one for each layer. */
  readonly shared: boolean;
  /** Elements from which on a layer's map is among the network's largest: tiles there have two pixels, to save working memory. */
  readonly largeMap: number;
}

/** What a tile's kernel reads and how its results are made. */
export interface Tile {
  /** Biases, weight pairs and result words of two channels at a time (see `packStream`). */
  readonly stream: Buffer;
  readonly blockWords: Expr;
  readonly blocks: Expr;
  readonly result: ScaledResult;
  /** Widened inputs. */
  readonly inputs: Buffer;
  readonly pixels: number;
  /** Groups of four taps in all, and how many of them go into a turn of the inner loop. */
  readonly groups: Expr;
  readonly unroll: number;
  readonly channels: Expr;
}

/** Four pixels; three where they then fill tiles with less waste. A group costs 23 instructions with four and 19 with three. */
export function tilePixelsFor(node: Node, shape: TileShape): number {
  const [x, y] = [inputOf(node, 0), outputOf(node)];
  if (Math.max(elementCount(x.shape), elementCount(y.shape)) >= shape.largeMap) return 2;
  const pixels = elementCount(y.shape.slice(0, 3));
  return 19 * Math.ceil(pixels / 3) < 23 * Math.ceil(pixels / 4) ? 3 : 4;
}

/** True where a tile may have fewer pixels than it has room for; shared kernels always look. */
export function mayBeShort(pixels: number, tilePixels: number, shape: TileShape): boolean {
  return shape.shared || pixels % tilePixels !== 0;
}

/** Rows of more groups of four taps are not written out whole, and outweigh all that their sizes cost as arguments. */
const LONG_ROW = 16;

/** Rows of more groups outweigh the sizes that only the loops around tiles use. */
const MIDDLE_ROW = 8;
const OUTER_SIZES = ["pixels", "blocks", "block_words", "out_c"];

/** The marks of a kernel whose channels have so many groups of taps. */
export function tileMarks(groups: number): Pick<Func, "asWritten" | "looseSizes"> {
  return { asWritten: true, ...(groups > LONG_ROW ? { looseSizes: "all" } : groups > MIDDLE_ROW ? { looseSizes: OUTER_SIZES } : {}) };
}

/** Turns of long rows, in groups of four taps, the first that divides the row: few kinds, so that layers can share. */
const LONG_TURNS = [12, 16, 10, 8, 6, 4, 2, 1];

/** Two turns of 18 groups (3x3 windows of 16 channels, 144 channels) beat three of 12. */
const LONGEST_TURN = 18;

/** How many groups of four taps go into a turn of the inner loop. */
export function unrollFor(groups: number, shape: TileShape): number {
  if (shape.shared) return groups % 2 === 0 ? 2 : 1;
  if (groups === 2 * LONGEST_TURN) return LONGEST_TURN;
  return groups <= LONG_ROW ? groups : LONG_TURNS.find((turn) => groups % turn === 0)!;
}

export function tileOf(k: KernelBuilder, s: WeightStream, pixels: number, channels: number, unroll: number): Tile {
  return {
    stream: k.constant("stream", "i32", s.words),
    blockWords: k.int("block_words", s.blockWords),
    blocks: k.int("blocks", channels / TILE_CHANNELS),
    result: scaledResult(k, s.layer),
    inputs: k.scratch("tile", "i32", (pixels * s.depth) / 2),
    pixels,
    groups: k.int("groups", s.depth / 4),
    unroll,
    channels: k.int("out_c", channels),
  };
}

/** The sums of a tile by channel and pixel. */
type TileSums = readonly (readonly Variable[])[];

/**
 * One group of four taps for the whole tile: the lanes as they are, then their second taps, widened only then. The first
 * words of the pixels start at `x`, the second ones `second` further on. Loads go in pairs.
 */
function addGroup(k: KernelBuilder, t: Tile, sums: TileSums, x: Expr, w: Expr, name: string): void {
  let words = sums.map((_, c) => k.let(`w${name}${c}`, t.stream.load(w.add(c))));
  for (let half = 0; half < 2; half++) {
    if (half === 1) words = words.map((word, c) => k.let(`v${name}${c}`, intrinsic("sxtb16", word)));
    for (let first = 0; first < t.pixels; first += 2) {
      const pair = Array.from({ length: Math.min(2, t.pixels - first) }, (_, n) => first + n);
      const inputs = pair.map((p) => k.let(`x${name}${half}${p}`, t.inputs.load(x.add(half * t.pixels + p))));
      sums.forEach((row, c) => {
        pair.forEach((p, n) => row[p]!.set(intrinsic("smlad", words[c]!, inputs[n]!, row[p]!.get())));
      });
    }
  }
}

function addGroups(k: KernelBuilder, t: Tile, sums: TileSums, start: Expr): void {
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
}

/** All channels of the tile's pixels; `left` is how many of them exist, where that may be fewer. */
export function storeTile(k: KernelBuilder, t: Tile, output: Buffer, to: Expr, left: Expr | null): void {
  k.for("block", 0, t.blocks, (block) => {
    const base = k.let("base", block.mul(t.blockWords));
    const biases = Array.from({ length: TILE_CHANNELS }, (_, c) => k.let(`bias${c}`, t.stream.load(base.add(c))));
    const sums = biases.map((bias, c) => Array.from({ length: t.pixels }, (_, p) => k.variable(`acc${c}${p}`, bias)));
    addGroups(k, t, sums, base.add(TILE_CHANNELS));
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
