import { type Buffer, constant, type Expr, type KernelBuilder, type Variable } from "../../../loops/index.ts";
import { LANES, load, type LoopWriter, multiplyAdd, nestedLoops, splat, store } from "./vectors.ts";

/** Pixels of a register tile. */
const PIXELS = 4;

/** Weights of a product in the order of reading: block of channels, depth, channel. They are packed anew in every run. */
export interface PackedWeights {
  readonly buffer: Buffer;
  /** Where they begin. */
  readonly start: number;
  /** Vectors of channels of a block: 2, or 1 where there are fewer than eight channels. */
  readonly vectors: number;
}

/**
 * A matrix product over windows: every position (i, j) of `rows` · `columns` in every image reads `runs` runs of `run` floats and
 * gives `channels` results. All distances count in floats.
 */
export interface WindowProduct {
  readonly images: number;
  readonly rows: number;
  readonly columns: number;
  readonly channels: number;
  readonly input: { readonly buffer: Buffer; readonly first: number; readonly image: number; readonly row: number; readonly column: number };
  readonly runs: { readonly count: number; readonly step: number; readonly length: number };
  readonly output: { readonly buffer: Buffer; readonly first: number; readonly image: number; readonly row: number; readonly column: number };
  /** Tells apart what several products of one kernel call by the same name. */
  readonly name: string;
}

/** The channels of a block: eight, or four where there are fewer. */
export function blockVectors(channels: number): number {
  return channels >= 2 * LANES ? 2 : 1;
}

/** Floats of the packed weights of a product. */
export function packedLength(channels: number, depth: number): number {
  const width = LANES * blockVectors(channels);
  return Math.ceil(channels / width) * width * depth;
}

/** Visits blocks of channels: the packed weights' block, and its first channel, with which the last block ends at the last channel. */
export function eachBlock(k: KernelBuilder, name: string, channels: number, body: (block: Expr, channel: Expr) => void): void {
  const width = LANES * blockVectors(channels);
  const total = k.int(`${name}channels`, channels);
  k.parallelFor(
    `${name}block`,
    0,
    total,
    (block) => body(block, channels % width === 0 ? block : k.let("channel", block.min(total.sub(width)))),
    width,
  );
}

/** The sums of a tile: pixels by vectors of channels. */
function tileSums(k: KernelBuilder, p: WindowProduct, w: PackedWeights, from: Expr, block: Expr, pixels: number): Variable[][] {
  const sums = Array.from({ length: pixels }, (_, i) =>
    Array.from({ length: w.vectors }, (_unused, v) => k.variable(`sum${i}${v}`, constant(0, "f32x4"))),
  );
  const width = LANES * w.vectors;
  const length = k.int(`${p.name}run`, p.runs.length);
  const depth = k.int(`${p.name}depth`, p.runs.count * p.runs.length);
  const first = k.let("first", block.mul(depth).add(k.int(`${p.name}packed`, w.start)));
  k.for("r", 0, k.int(`${p.name}runs`, p.runs.count), (r) => {
    const at = k.let("at", from.add(r.mul(k.int(`${p.name}run_step`, p.runs.step))));
    const weight = k.let("weight", first.add(r.mul(length).mul(width)));
    k.for("i", 0, length, (i) => {
      const loaded = Array.from({ length: w.vectors }, (_, v) => k.let(`w${v}`, load(w.buffer, weight.add(i.mul(width)).add(v * LANES))));
      sums.forEach((row, n) => {
        const x = k.let(`x${n}`, splat(p.input.buffer, at.add(i).add(k.int(`${p.name}column`, p.input.column).mul(n))));
        row.forEach((sum, v) => sum.set(multiplyAdd(x, loaded[v]!, sum.get())));
      });
    });
  });
  return sums;
}

/** What becomes of a vector of sums of the channels from `channel` on. */
export type Finish = (channel: Expr) => (sums: readonly Expr[]) => Expr[];

/** Computes the whole product; `finish` adds biases and activations. The last tile of a row moves back to end with its last pixel. */
export function emitProduct(k: KernelBuilder, p: WindowProduct, w: PackedWeights, finish: Finish): void {
  const pixels = Math.min(PIXELS, p.columns);
  const { input, output } = p;
  const int = (name: string, value: number): Expr => k.int(`${p.name}${name}`, value);
  const [eachImage, eachRow, eachTile] = nestedLoops(k, p.images, p.rows, Math.ceil(p.columns / pixels)) as [LoopWriter, LoopWriter, LoopWriter];
  eachImage("n", int("images", p.images), (n) =>
    eachRow("y", int("rows", p.rows), (y) => {
      const line = k.let(
        "line",
        n
          .mul(int("in_image", input.image))
          .add(y.mul(int("in_row", input.row)))
          .add(int("in_first", input.first)),
      );
      const row = k.let(
        "row",
        n
          .mul(int("out_image", output.image))
          .add(y.mul(int("out_row", output.row)))
          .add(int("out_first", output.first)),
      );
      const tile = (x: Expr): void => {
        const from = k.let("from", line.add(x.mul(int("column", input.column))));
        const to = k.let("to", row.add(x.mul(int("out_column", output.column))));
        eachBlock(k, p.name, p.channels, (block, channel) => {
          const sums = tileSums(k, p, w, from, block, pixels);
          const done = finish(channel);
          sums.forEach((each, i) => {
            const at = k.let("to_pixel", to.add(int("out_column", output.column).mul(i)).add(channel));
            done(each.map((sum) => sum.get())).forEach((value, v) => store(k, output.buffer, at.add(v * LANES), value));
          });
        });
      };
      const last = p.columns - pixels;
      eachTile("x", int("columns", p.columns), (x) => tile(p.columns % pixels === 0 ? x : k.let("moved", x.min(int("last", last)))), pixels);
    }),
  );
}
