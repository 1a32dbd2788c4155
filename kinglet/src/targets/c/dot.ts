import { type Buffer, type Expr, intrinsic, type KernelBuilder, loadWord, type Variable } from "../../loops/index.ts";
import { packLanes } from "./lanes.ts";

/** Output channels that share each load of an input element. */
export const BLOCK = 4;

/** A way to compute `BLOCK` dot products at once, with the order of the weights that it wants. */
export interface DotProduct {
  /** `rows` is [count][depth]; the result holds blocks of BLOCK rows, the last one filled up with zeros. */
  pack(rows: Int8Array, count: number, depth: number): Int8Array;
  /** Adds source[from…from+depth) · row j of the block at weights[block…] to sums[j]. */
  accumulate(k: KernelBuilder, sums: readonly Variable[], source: Buffer, from: Expr, weights: Buffer, block: Expr, depth: Expr): void;
}

/** Orders each block of rows in groups of `group` columns: [block][column / group][row][column % group]; a rest goes one by one. */
function packBlocks(rows: Int8Array, count: number, depth: number, group: number): Int8Array {
  const blocks = Math.ceil(count / BLOCK);
  const packed = new Int8Array(blocks * BLOCK * depth);
  const whole = depth - (depth % group);
  for (let row = 0; row < count; row++) {
    const base = Math.floor(row / BLOCK) * BLOCK * depth;
    const j = row % BLOCK;
    for (let i = 0; i < depth; i++) {
      const at = i < whole ? Math.floor(i / group) * group * BLOCK + j * group + (i % group) : i * BLOCK + j;
      packed[base + at] = rows[row * depth + i]!;
    }
  }
  return packed;
}

function oneByOne(
  k: KernelBuilder,
  sums: readonly Variable[],
  source: Buffer,
  from: Expr,
  weights: Buffer,
  block: Expr,
  first: Expr | number,
  depth: Expr,
): void {
  k.for("i", first, depth, (i) => {
    const value = k.let("value", source.load(from.add(i)));
    const tap = k.let("tap", block.add(i.mul(BLOCK)));
    sums.forEach((sum, j) => sum.set(sum.get().add(value.mul(weights.load(tap.add(j))))));
  });
}

/** One multiply-accumulate at a time: any machine. */
export const SCALAR_DOT: DotProduct = {
  pack: (rows, count, depth) => packBlocks(rows, count, depth, 1),
  accumulate: (k, sums, source, from, weights, block, depth) => oneByOne(k, sums, source, from, weights, block, 0, depth),
};

/** Adds four columns of a block: bytes widened in pairs, two products an instruction. */
function addWord(k: KernelBuilder, sums: readonly Variable[], source: Buffer, from: Expr, weights: Buffer, tap: Expr, name: string): void {
  const word = k.let(`x${name}`, loadWord(source, from));
  const even = k.let(`x${name}_even`, intrinsic("sxtb16", word));
  const odd = k.let(`x${name}_odd`, intrinsic("sxtb16High", word));
  sums.forEach((sum, j) => {
    const taps = k.let(`w${name}_${j}`, loadWord(weights, tap.add(4 * j)));
    sum.set(intrinsic("smlad", odd, intrinsic("sxtb16High", taps), intrinsic("smlad", even, intrinsic("sxtb16", taps), sum.get())));
  });
}

/**
 * Four columns at a time (Armv7E-M DSP), in loops of `words` words: the sums do not all fit into registers, so
 * every turn of the loop saves and loads some of them.
 */
function dualDot(words: number, rest: boolean): DotProduct {
  return {
    pack: (rows, count, depth) => packBlocks(rows, count, depth, 4),
    accumulate: (k, sums, source, from, weights, block, depth) => {
      const whole = rest ? k.let("whole", depth.and(-4)) : depth;
      k.for(
        "i4",
        0,
        whole,
        (i) => {
          const x = k.let("x_at", from.add(i));
          const tap = k.let("tap4", block.add(i.mul(BLOCK)));
          for (let w = 0; w < words; w++) addWord(k, sums, source, x.add(4 * w), weights, tap.add(4 * BLOCK * w), String(w));
        },
        4 * words,
      );
      if (rest) oneByOne(k, sums, source, from, weights, block, whole, depth);
    },
  };
}

const DUAL_DOTS = { sixteen: dualDot(4, false), eight: dualDot(2, false), four: dualDot(1, false), rest: dualDot(1, true) };

/** The one dual dot product that serves rows of every length. */
export const DUAL_DOT_FOR_ALL: DotProduct = DUAL_DOTS.rest;

/** The dual dot product for rows of `depth` elements. */
export function dualDotFor(depth: number): DotProduct {
  if (depth < 4) return SCALAR_DOT;
  if (depth % 16 === 0) return DUAL_DOTS.sixteen;
  return depth % 8 === 0 ? DUAL_DOTS.eight : depth % 4 === 0 ? DUAL_DOTS.four : DUAL_DOTS.rest;
}

/**
 * Four columns at a time with two weights in a lane (see `packLanes` of tile.ts): one sign extension for four taps.
 * Sums are 256 times the real ones. For rows of whole words.
 */
export function pairDot(words: number): DotProduct {
  return {
    pack: (rows, count, depth) => packLanes(rows, count, depth, BLOCK)!,
    accumulate: (k, sums, source, from, weights, block, depth) =>
      k.for(
        "i4",
        0,
        depth,
        (i) => {
          const x = k.let("x_at", from.add(i));
          const tap = k.let("tap4", block.add(i.mul(BLOCK)));
          for (let w = 0; w < words; w++) {
            const word = k.let(`x${w}`, loadWord(source, x.add(4 * w)));
            const firsts = k.let(`x${w}_firsts`, intrinsic("sxtb16", word));
            const seconds = k.let(`x${w}_seconds`, word.xor(0x007f007f));
            sums.forEach((sum, j) => {
              const lanes = k.let(`w${w}_${j}`, loadWord(weights, tap.add(4 * (BLOCK * w + j))));
              sum.set(intrinsic("smlad", intrinsic("sxtb16", lanes), seconds, intrinsic("smlad", lanes, firsts, sum.get())));
            });
          }
        },
        4 * words,
      ),
  };
}
