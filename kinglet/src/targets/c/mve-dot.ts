import { type Buffer, type Expr, helium, i32, type KernelBuilder, type Variable, vectorLoad } from "../../loops/index.ts";
import { QUAD, quadScale, requantizeQuad, VECTOR, type VectorLayer } from "./mve-layer.ts";

/** Vectors of 16 taps in a row, filled up, and how many of them a turn of the inner loop takes. */
export interface RowShape {
  readonly blocks: number;
  readonly blocksPerTurn: number;
}

export function rowShape(taps: number): RowShape {
  const blocks = Math.ceil(taps / VECTOR);
  // Weights of four blocks lie within reach of one pointer.
  return { blocks, blocksPerTurn: [4, 3, 2, 1].find((n) => blocks % n === 0)! };
}

/** Weights in reading order, as words: [channel / 4][tap / 16][channel % 4][tap % 16], filled up with zeros. */
export function packQuads(rows: Int8Array, channels: number, taps: number): Int32Array {
  const { blocks } = rowShape(taps);
  const packed = new Int8Array(Math.ceil(channels / QUAD) * QUAD * blocks * VECTOR);
  for (let c = 0; c < channels; c++) {
    for (let i = 0; i < taps; i++) {
      const block = Math.floor(c / QUAD) * blocks + Math.floor(i / VECTOR);
      packed[(block * QUAD + (c % QUAD)) * VECTOR + (i % VECTOR)] = rows[c * taps + i]!;
    }
  }
  return new Int32Array(packed.buffer);
}

export interface VectorDot {
  readonly layer: VectorLayer;
  /** As `packQuads` orders them. */
  readonly weights: Buffer;
  readonly shape: RowShape;
  readonly channels: Expr;
  /** The number of channels is not a multiple of four. */
  readonly tail: boolean;
  /** One or two rows of taps, vector beside vector so that one pointer reads both: [tap / 16][row][tap % 16]. */
  readonly patch: Buffer;
  readonly rows: number;
}

/** Where a row's vector lies in the patch. */
export function patchAt(d: VectorDot, row: number, tap: Expr): Expr {
  return tap.mul(d.rows).add(VECTOR * row);
}

/** Copies a row of `taps` inputs into the patch; what lies behind it meets weights of zero. */
export function packRow(k: KernelBuilder, d: VectorDot, row: number, source: Buffer, from: Expr, taps: number): void {
  const whole = taps - (taps % VECTOR);
  const move = (i: Expr, count: number): void =>
    k.storeVector(d.patch, patchAt(d, row, i), vectorLoad("i8x16", source, from.add(i), "full", count === VECTOR ? {} : { count }));
  if (whole <= MOST_UNROLLED * VECTOR) for (let i = 0; i < whole; i += VECTOR) move(i32(i), VECTOR);
  else k.for("i", 0, k.int("whole_taps", whole), (i) => move(i, VECTOR), VECTOR);
  if (whole < taps) move(whole <= MOST_UNROLLED * VECTOR ? i32(whole) : k.int("whole_taps", whole), taps - whole);
}

/** Vectors that are moved one by one, without a loop. */
const MOST_UNROLLED = 4;

/** One vector of taps: each weight vector is loaded once for all rows. */
function addBlock(k: KernelBuilder, d: VectorDot, tap: Expr, words: Expr, add: (row: number, channel: number, x: Expr, w: Expr) => void): void {
  const x = Array.from({ length: d.rows }, (_, r) => k.let(`x${r}`, vectorLoad("i8x16", d.patch, patchAt(d, r, tap))));
  for (let c = 0; c < QUAD; c++) {
    const w = k.let(`w${c}`, vectorLoad("i8x16", d.weights, words.add(QUAD * c)));
    x.forEach((value, r) => add(r, c, value, w));
  }
}

/** The sums of a quad for all rows, without bias: [row][channel]. */
function quadSums(k: KernelBuilder, d: VectorDot, quad: Expr): Expr[][] {
  const { blocks, blocksPerTurn } = d.shape;
  if (blocks === blocksPerTurn) return unrolledSums(k, d, quad);
  const sums: Variable[][] = Array.from({ length: d.rows }, (_, r) => Array.from({ length: QUAD }, (_, c) => k.variable(`sum${r}${c}`, i32(0))));
  const add = (r: number, c: number, x: Expr, w: Expr): void => sums[r]![c]!.set(helium("dot", sums[r]![c]!.get(), x, w));
  const body = (i: Expr): void => {
    for (let b = 0; b < blocksPerTurn; b++) addBlock(k, d, i.add(VECTOR * b), quad.add(i).add(VECTOR * b), add);
  };
  k.for("i", 0, k.int("taps", blocks * VECTOR), body, blocksPerTurn * VECTOR);
  return sums.map((row) => row.map((sum) => sum.get()));
}

/** Rows of few taps: without a loop the first products need no sum to start from. */
function unrolledSums(k: KernelBuilder, d: VectorDot, quad: Expr): Expr[][] {
  const sums: Expr[][] = Array.from({ length: d.rows }, () => []);
  for (let b = 0; b < d.shape.blocks; b++) {
    addBlock(k, d, i32(VECTOR * b), quad.add(VECTOR * b), (r, c, x, w) => {
      sums[r]![c] = k.let(`sum${r}${c}`, b === 0 ? helium("product", x, w) : helium("dot", sums[r]![c]!, x, w));
    });
  }
  return sums;
}

function storeQuad(k: KernelBuilder, d: VectorDot, output: Buffer, to: Expr, oc: Expr, results: Expr): void {
  const whole = (): void => k.storeVector(output, to.add(oc), results, "narrow");
  if (!d.tail) return whole();
  k.if(oc.add(QUAD).le(d.channels), whole, () => {
    for (let c = 0; c < QUAD - 1; c++)
      k.if(oc.add(c).lt(d.channels), () => output.store(to.add(oc).add(c), helium(`lane${c as 0 | 1 | 2}`, results)));
  });
}

/** All channels of the rows in the patch, four at a time; `to` is where each row's results go. */
export function storeDots(k: KernelBuilder, d: VectorDot, to: readonly Expr[], output: Buffer): void {
  const wordsPerChannel = k.int("row_words", (d.shape.blocks * VECTOR) / 4);
  k.for(
    "oc",
    0,
    d.channels,
    (oc) => {
      const sums = quadSums(k, d, k.let("quad", oc.mul(wordsPerChannel)));
      const scale = quadScale(k, d.layer, oc);
      to.forEach((at, r) => storeQuad(k, d, output, at, oc, requantizeQuad(k, d.layer, scale, sums[r]!)));
    },
    QUAD,
  );
}
