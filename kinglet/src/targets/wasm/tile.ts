import { type Buffer, type Expr, type KernelBuilder, type Variable, vectorLoad, type VectorLoadForm } from "../../loops/index.ts";
import { emptyLike, type LayerMath, SUMS, type Weights } from "./layer.ts";

/** Outputs that are computed together: some pixels by four times `vectors` channels, one sum in a register each. */
export interface Tile {
  readonly pixels: number;
  readonly vectors: number;
}

/**
 * What a tile reads of its input: for each pixel `rows` · `columns` runs of `run` elements. All distances count in
 * elements; those of the pixels of a tile are equal.
 */
export interface Runs {
  readonly input: Buffer;
  readonly pixel: number;
  readonly rows: number;
  readonly row: number;
  readonly columns: number;
  readonly column: number;
  readonly run: number;
}

/** Weights of the sums of a tile, one vector after another in the order of reading. */
export interface TileWeights {
  readonly buffer: Buffer;
  /** Bytes, where a tile of one pixel reads every weight once. */
  readonly bytes: boolean;
}

/**
 * The micro-kernel: adds the products of all runs to the sums of a tile. One element (two for bytes) of each pixel
 * goes into all lanes and meets the same vectors of weights, so that a step loads pixels + vectors and multiplies
 * pixels · vectors times. The sums, the pixels and the weights of a step must fit 16 registers.
 */
export function emitTile(
  k: KernelBuilder,
  math: LayerMath,
  tile: Tile,
  runs: Runs,
  weights: TileWeights,
  at: { readonly input: Expr; readonly weight: Expr; readonly start: readonly Expr[] },
): Variable[][] {
  const sums = Array.from({ length: tile.pixels }, (_, p) => at.start.map((start, v) => k.variable(`sum${p}${v}`, start)));
  const width = SUMS * tile.vectors;
  const [run, columns] = [k.int("run", runs.run), k.int("columns", runs.columns)];
  const form: VectorLoadForm = weights.bytes ? "widen8s" : "full";
  const splat: VectorLoadForm = math.group === 1 ? "splat" : "splatWord";
  k.for("ky", 0, k.int("rows", runs.rows), (ky) =>
    k.for("kx", 0, columns, (kx) => {
      const from = k.let("from", at.input.add(ky.mul(k.int("row", runs.row))).add(kx.mul(k.int("column", runs.column))));
      const tap = k.let("tap", at.weight.add(ky.mul(columns).add(kx).mul(run).mul(width)));
      k.for(
        "i",
        0,
        run,
        (i) => {
          const w = Array.from({ length: tile.vectors }, (_, v) =>
            k.let(`w${v}`, vectorLoad(math.lanes, weights.buffer, tap.add(i.mul(width)).add(v * SUMS * math.group), form)),
          );
          sums.forEach((row, p) => {
            const x = k.let(`x${p}`, vectorLoad(math.lanes, runs.input, from.add(i).add(k.int("pixel", runs.pixel).mul(p)), splat));
            row.forEach((sum, v) => sum.set(math.multiplyAdd(sum.get(), x, w[v]!)));
          });
        },
        math.group,
      );
    }),
  );
  return sums;
}

/** The channels that each block of a layer computes; the last block moves back to end with the last channel. */
export function blockStarts(channels: number, width: number): number[] {
  return Array.from({ length: Math.ceil(channels / width) }, (_, block) => Math.max(0, Math.min(block * width, channels - width)));
}

/**
 * Weights in the order in which tiles read them: block, depth, channel, pair.
 * @param depth the index of each weight of a channel, counted from the channel's first; −1 stands for 0.
 */
export function packTiles(math: LayerMath, channels: number, taps: number, depth: readonly number[], width: number): Weights {
  const starts = blockStarts(channels, width);
  const packed = emptyLike(math.weights, starts.length * depth.length * width);
  let at = 0;
  for (const start of starts) {
    for (let d = 0; d < depth.length; d += math.group) {
      for (let c = start; c < start + width; c++) {
        for (let e = d; e < d + math.group; e++) packed[at++] = c < channels && depth[e]! >= 0 ? math.weights[c * taps + depth[e]!]! : 0;
      }
    }
  }
  return packed;
}
