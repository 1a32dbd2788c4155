import type { Node } from "../../../graph/index.ts";
import { type Buffer, constant, type Expr, type Images, imagesOf, type KernelBuilder, type KernelInstance } from "../../../loops/index.ts";
import { attributesOf, type FilterGradientAttributes, inputOf, type Kernel, type NodeLayouts, type Schedule } from "../../../ops/index.ts";
import { blockVectors } from "./product.ts";
import { isFloatStep, LANES, load, multiplyAdd, splat, store } from "./vectors.ts";

/** Elements of a window that a register tile joins with eight output channels. */
const TILE = 4;

/** Floats of inputs and gradients that stay in the first-level cache while all tiles pass over them. */
const CLOSE = 5000;

/** Everything that the tiles of a layer share. */
interface FilterGradient {
  readonly k: KernelBuilder;
  readonly x: Buffer;
  readonly dy: Buffer;
  /** Sums [tile][element of a window][channel], until all pixels are done. */
  readonly sums: Buffer;
  readonly from: Images;
  readonly to: Images;
  readonly a: FilterGradientAttributes;
  /** Elements of a filter row, side by side in memory. */
  readonly run: number;
  readonly tiles: Tiles;
}

/** How sums are cut into register tiles: block of channels, filter row, elements of that row. */
interface Tiles {
  /** Elements of a window and vectors of channels of each. */
  readonly size: number;
  readonly vectors: number;
  /** Tiles of a filter row, and of a block of channels. */
  readonly perRow: number;
  readonly perBlock: number;
  readonly count: number;
}

/** @param run elements of a filter row, side by side in memory. */
function tilesOf(channels: number, rows: number, run: number): Tiles {
  const [size, vectors] = [Math.min(TILE, run), blockVectors(channels)];
  const perRow = Math.ceil(run / size);
  return { size, vectors, perRow, perBlock: rows * perRow, count: rows * perRow * Math.ceil(channels / (LANES * vectors)) };
}

/** Where a tile begins: a filter row, an element of it, a channel. The last tile of a row and the last block move back to end with it. */
function startOf({ k, tiles, run, to }: FilterGradient, tile: Expr): { ky: Expr; element: Expr; channel: Expr } {
  const moved = (at: Expr, length: number, size: number): Expr => (length % size === 0 ? at : at.min(Math.max(0, length - size)));
  const width = LANES * tiles.vectors;
  const block = k.let("block", tile.div(tiles.perBlock));
  const inBlock = k.let("in_block", tile.sub(block.mul(tiles.perBlock)));
  const ky = k.let("ky", inBlock.div(tiles.perRow));
  return {
    ky,
    element: k.let("element", moved(inBlock.sub(ky.mul(tiles.perRow)).mul(tiles.size), run, tiles.size)),
    channel: k.let("channel", moved(block.mul(width), to.channels, width)),
  };
}

/** Visits the tiles; threads share them, every time alike. */
function eachTile({ k, tiles }: FilterGradient, body: (tile: Expr) => void): void {
  k.parallelFor("tile", 0, k.int("tiles", tiles.count), body);
}

/** The first of a tile's sums. */
function placeOf({ k, tiles }: FilterGradient, tile: Expr): Expr {
  return k.let("place", tile.mul(tiles.size * tiles.vectors * LANES));
}

/** Where a run of pixels begins in the input and in the gradient, and how many they are. */
interface PixelRun {
  readonly x: Expr;
  readonly dy: Expr;
  readonly count: Expr;
}

/** Adds the products of runs of pixels to one tile of sums. */
function addTile(g: FilterGradient, tile: Expr, each: (body: (run: PixelRun) => void) => void): void {
  const { k, tiles } = g;
  const vectors = Array.from({ length: tiles.vectors }, (_, v) => v);
  const place = placeOf(g, tile);
  const { ky, element, channel } = startOf(g, tile);
  const first = k.let("first", ky.mul(g.from.row).add(element));
  const at = (i: number, v: number): Expr => place.add((i * tiles.vectors + v) * LANES);
  const sums = Array.from({ length: tiles.size }, (_, i) => vectors.map((v) => k.variable(`sum${i}${v}`, load(g.sums, at(i, v)))));
  each((run) => {
    const from = k.let("from", run.x.add(first));
    const gradient = k.let("gradient", run.dy.add(channel));
    k.for("p", 0, run.count, (p) => {
      const dy = vectors.map((v) => k.let(`dy${v}`, load(g.dy, gradient.add(p.mul(k.int("out_c", g.to.channels))).add(v * LANES))));
      for (let i = 0; i < tiles.size; i++) {
        const x = k.let(`x${i}`, splat(g.x, from.add(p.mul(k.int("x_step", g.a.strideW * g.from.channels))).add(i)));
        for (const v of vectors) sums[i]![v]!.set(multiplyAdd(x, dy[v]!, sums[i]![v]!.get()));
      }
    });
  });
  sums.forEach((each, i) => each.forEach((sum, v) => store(k, g.sums, at(i, v), sum.get())));
}

/** Single pixels one after another: the input and the gradient are two matrices. */
function isFlat({ a, from, to }: FilterGradient): boolean {
  const dense = (images: Images): boolean => images.row === images.width * images.channels && images.image === images.height * images.row;
  return a.filterH * a.filterW * a.strideH * a.strideW === 1 && a.padTop + a.padLeft + a.padBottom + a.padRight === 0 && dense(from) && dense(to);
}

function eachGroupOfPixels(g: FilterGradient): void {
  const { k, from, to, a } = g;
  const addTiles = (each: (body: (run: PixelRun) => void) => void): void => eachTile(g, (tile) => addTile(g, tile, each));
  if (isFlat(g)) {
    const total = to.batches * to.height * to.width;
    const group = Math.max(64, Math.floor(CLOSE / (from.channels + to.channels)));
    k.for(
      "group",
      0,
      k.int("pixels", total),
      (first) => {
        const count = k.let("count", k.int("pixels", total).sub(first).min(group));
        addTiles((body) => body({ x: first.mul(from.channels), dy: first.mul(to.channels), count }));
      },
      group,
    );
    return;
  }
  const rows = Math.max(1, Math.min(to.height, Math.floor(CLOSE / (a.strideH * from.row + to.row))));
  k.for("n", 0, to.batches, (n) =>
    k.for(
      "group",
      0,
      k.int("out_h", to.height),
      (first) => {
        const end = k.let("end", first.add(rows).min(k.int("out_h", to.height)));
        addTiles((body) =>
          k.for("oy", first, end, (oy) => {
            const x = n
              .mul(from.image)
              .add(oy.mul(a.strideH * from.row))
              .add(from.first - a.padTop * from.row - a.padLeft * from.channels);
            const dy = n.mul(to.image).add(oy.mul(to.row)).add(to.first);
            body({ x: k.let("x_row", x), dy: k.let("dy_row", dy), count: k.int("out_w", to.width) });
          }),
        );
      },
      rows,
    ),
  );
}

/** Sums lie tile after tile; weights lie window after window. Tiles that were moved back write some weights again, alike. */
function storeWeights(g: FilterGradient, dw: Buffer, depth: number): void {
  const { k, tiles } = g;
  const width = LANES * tiles.vectors;
  eachTile(g, (tile) => {
    const place = placeOf(g, tile);
    const { ky, element, channel } = startOf(g, tile);
    const weight = k.let("weight", ky.mul(g.run).add(element));
    k.for("c", 0, Math.min(width, g.to.channels), (c) => {
      const at = k.let("at", channel.add(c).mul(depth).add(weight));
      for (let i = 0; i < tiles.size; i++) dw.store(at.add(i), g.sums.load(place.add(c).add(i * width)));
    });
  });
}

function clearSums(g: FilterGradient): void {
  const { k, tiles } = g;
  eachTile(g, (tile) => {
    const place = placeOf(g, tile);
    for (let i = 0; i < tiles.size * tiles.vectors; i++) store(k, g.sums, place.add(i * LANES), constant(0, "f32x4"));
  });
}

function kernel(k: KernelBuilder, node: Node, layouts: NodeLayouts): KernelInstance {
  const a = attributesOf<FilterGradientAttributes>(node);
  const from = imagesOf(inputOf(node, 0).shape, layouts.inputs[0]!);
  const to = imagesOf(inputOf(node, 1).shape, layouts.inputs[1]!);
  const run = a.filterW * from.channels;
  const tiles = tilesOf(to.channels, a.filterH, run);
  const [x, dy, dw] = [k.input(0, "x"), k.input(1, "dy"), k.output(0, "dw")];
  const sums = k.scratch("sums", "f32", tiles.count * tiles.size * tiles.vectors * LANES);
  const g: FilterGradient = { k, x, dy, sums, from, to, a, run, tiles };
  clearSums(g);
  eachGroupOfPixels(g);
  storeWeights(g, dw, a.filterH * run);
  return k.finish(
    "conv2d_filter_gradient_f32_simd",
    "Gradient of a convolution with respect to its weights: tiles of a window's elements by output channels, over all pixels.",
    { sharesScratch: true },
  );
}

/** Convolutions without groups and dilation. */
export const filterGradientSchedule: Schedule = (node) => {
  const a = attributesOf<FilterGradientAttributes>(node);
  const [x, dy] = [inputOf(node, 0), inputOf(node, 1)];
  const dilated = (a.dilationH ?? 1) !== 1 || (a.dilationW ?? 1) !== 1;
  if (!isFloatStep(node, [0, 1]) || dilated || a.groupChannels !== x.shape[3]) return undefined;
  const border = { top: a.padTop, bottom: a.padBottom, left: a.padLeft, right: a.padRight };
  // A vector of fewer channels reaches into what comes behind.
  const tail = Math.max(0, LANES - dy.shape[3]!);
  const made: Kernel = (k, layouts) => kernel(k, node, layouts);
  return Object.assign(made, {
    reads: [
      { border, tail: 0 },
      { border: { top: 0, bottom: 0, left: 0, right: 0 }, tail },
    ],
  });
};
