import { type Buffer, type Expr, intrinsic, type KernelBuilder } from "../../loops/index.ts";

/**
 * Winograd's F(2x2, 3x3) in integers (Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2015): a patch of
 * 4x4 inputs d and a filter g give 2x2 outputs Aᵀ[(G g Gᵀ) ⊙ (Bᵀ d B)]A with 16 products instead of 36. G has halves; with
 * 2G in its place the filters stay whole numbers and the outputs are 4 times theirs, exactly.
 */
export const OUTPUT_SCALE = 4;

/** Positions of a transformed patch. */
export const POSITIONS = 16;

/** 2G · g for a column of three. */
function filterColumn([a, b, c]: readonly [number, number, number]): number[] {
  return [2 * a, a + b + c, a - b + c, 2 * c];
}

/** (2G) g (2G)ᵀ of nine weights in rows; each result is at most 9 · 128 in size. */
export function transformFilter(g: readonly number[]): number[] {
  const columns = [0, 1, 2].map((j) => filterColumn([g[j]!, g[3 + j]!, g[6 + j]!]));
  return [0, 1, 2, 3].flatMap((i) => filterColumn([columns[0]![i]!, columns[1]![i]!, columns[2]![i]!]));
}

/** Sums and differences of transformed inputs: of one channel, or of two in the halves of a word. */
export interface PatchArithmetic {
  add(a: Expr, b: Expr): Expr;
  sub(a: Expr, b: Expr): Expr;
}

export const HALVES: PatchArithmetic = { add: (a, b) => intrinsic("sadd16", a, b), sub: (a, b) => intrinsic("ssub16", a, b) };
export const WORDS: PatchArithmetic = { add: (a, b) => a.add(b), sub: (a, b) => a.sub(b) };

/** Bᵀ · d for a column of four. */
function inputColumn({ add, sub }: PatchArithmetic, [a, b, c, d]: readonly Expr[]): Expr[] {
  return [sub(a!, c!), add(b!, c!), sub(c!, b!), sub(b!, d!)];
}

/** Bᵀ d B of a patch: `load(row, column)` gives its words, `store(position, word)` takes the results. */
export function transformPatch(
  k: KernelBuilder,
  arithmetic: PatchArithmetic,
  load: (row: number, column: number) => Expr,
  store: (position: number, word: Expr) => void,
): void {
  const rows = [0, 1, 2, 3].map((i) => {
    const inputs = [0, 1, 2, 3].map((j) => k.let(`d${i}${j}`, load(i, j)));
    return inputColumn(arithmetic, inputs).map((word, j) => k.let(`r${i}${j}`, word));
  });
  for (let j = 0; j < 4; j++)
    inputColumn(
      arithmetic,
      rows.map((row) => row[j]!),
    ).forEach((word, i) => store(4 * i + j, word));
}

/** Aᵀ · m for a column of four. */
function outputColumn([a, b, c, d]: readonly Expr[]): [Expr, Expr] {
  return [a!.wrapAdd(b!).wrapAdd(c!), b!.wrapSub(c!).wrapSub(d!)];
}

/** Aᵀ m A: the 2x2 outputs in rows, each `OUTPUT_SCALE` times the sum it stands for. */
export function transformProducts(k: KernelBuilder, products: Buffer, at: (position: number) => Expr): Expr[] {
  const columns = [0, 1, 2, 3].map((j) => {
    const column = [0, 1, 2, 3].map((i) => k.let(`m${i}${j}`, products.load(at(4 * i + j))));
    return outputColumn(column).map((sum, i) => k.let(`s${i}${j}`, sum));
  });
  return [0, 1].flatMap((i) => outputColumn(columns.map((column) => column[i]!)));
}
