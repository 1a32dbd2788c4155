import { type Buffer, type Expr, intrinsic, type KernelBuilder, loadWord, type Variable } from "../../loops/index.ts";

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

/** Four columns at a time (Armv7E-M DSP) for rows of any length; what is left of a row goes one by one. */
export const DUAL_DOT: DotProduct = {
  pack: (rows, count, depth) => packBlocks(rows, count, depth, 4),
  accumulate: (k, sums, source, from, weights, block, depth) => {
    const whole = k.let("whole", depth.and(-4));
    k.for("i4", 0, whole, (i) => addWord(k, sums, source, k.let("x_at", from.add(i)), weights, k.let("tap4", block.add(i.mul(BLOCK))), "0"), 4);
    oneByOne(k, sums, source, from, weights, block, whole, depth);
  },
};
