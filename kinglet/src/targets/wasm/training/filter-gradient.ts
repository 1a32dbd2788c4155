import type { Node } from "../../../graph/index.ts";
import { type Buffer, constant, type Expr, type Images, imagesOf, type KernelBuilder, type KernelInstance } from "../../../loops/index.ts";
import { attributesOf, type FilterGradientAttributes, inputOf, type Kernel, type NodeLayouts, type Schedule } from "../../../ops/index.ts";
import { isFloatStep, LANES, load, multiplyAdd, splat, store } from "./vectors.ts";

/** Elements of a window that a register tile joins with eight output channels. */
const TILE = 4;

/** Floats of inputs and gradients that stay in the first-level cache while all tiles pass over them. */
const CLOSE = 5000;

/** Output channels of a block, in vectors: two, and what is left at the end. */
interface Block {
  readonly first: number;
  readonly vectors: number;
}

function blocksOf(channels: number): Block[] {
  const count = Math.ceil(channels / LANES);
  return Array.from({ length: Math.ceil(count / 2) }, (_, i) => ({ first: 2 * LANES * i, vectors: Math.min(2, count - 2 * i) }));
}

/** Everything that the tiles of a layer share. */
interface FilterGradient {
  readonly k: KernelBuilder;
  readonly x: Buffer;
  readonly dy: Buffer;
  /** Sums [block][element of a window][channel], until all pixels are done. */
  readonly sums: Buffer;
  readonly from: Images;
  readonly to: Images;
  readonly a: FilterGradientAttributes;
  /** Elements of a filter row, side by side in memory, and of a window. */
  readonly run: number;
  readonly depth: number;
}

/** Where a run of pixels begins in the input and in the gradient, and how many they are. */
interface PixelRun {
  readonly x: Expr;
  readonly dy: Expr;
  readonly count: Expr;
}

/** Adds the products of a run of pixels to one tile of sums: `size` elements from `element` on by the block's channels. */
function addTile(g: FilterGradient, block: Block, size: number, element: Expr, place: Expr, each: (body: (run: PixelRun) => void) => void): void {
  const { k } = g;
  const vectors = Array.from({ length: block.vectors }, (_, v) => v);
  const width = LANES * block.vectors;
  const at = (i: number, v: number): Expr => place.add(i * width + v * LANES);
  const sums = Array.from({ length: size }, (_, i) => vectors.map((v) => k.variable(`sum${i}${v}`, load(g.sums, at(i, v)))));
  each((run) => {
    const from = k.let("from", run.x.add(element));
    const gradient = k.let("gradient", run.dy.add(block.first));
    k.for("p", 0, run.count, (p) => {
      const dy = vectors.map((v) => k.let(`dy${v}`, load(g.dy, gradient.add(p.mul(k.int("out_c", g.to.channels))).add(v * LANES))));
      for (let i = 0; i < size; i++) {
        const x = k.let(`x${i}`, splat(g.x, from.add(p.mul(k.int("x_step", g.a.strideW * g.from.channels))).add(i)));
        for (const v of vectors) sums[i]![v]!.set(multiplyAdd(x, dy[v]!, sums[i]![v]!.get()));
      }
    });
  });
  sums.forEach((row, i) => row.forEach((sum, v) => store(k, g.sums, at(i, v), sum.get())));
}

/** All tiles of the layer over some pixels. */
function addTiles(g: FilterGradient, each: (body: (run: PixelRun) => void) => void): void {
  const { k, a, run } = g;
  for (const block of blocksOf(g.to.channels)) {
    const width = LANES * block.vectors;
    const start = block.first * g.depth;
    k.for("ky", 0, a.filterH, (ky) => {
      const row = k.let("row", ky.mul(g.from.row));
      const place = k.let("place", ky.mul(run * width).add(start));
      const whole = run - (run % TILE);
      if (whole > 0) k.for("e", 0, whole, (e) => addTile(g, block, TILE, row.add(e), k.let("tile_at", place.add(e.mul(width))), each), TILE);
      if (whole < run) addTile(g, block, run - whole, row.add(whole), place.add(whole * width), each);
    });
  }
}

/** Single pixels one after another: the input and the gradient are two matrices. */
function isFlat({ a, from, to }: FilterGradient): boolean {
  const dense = (images: Images): boolean => images.row === images.width * images.channels && images.image === images.height * images.row;
  return a.filterH * a.filterW * a.strideH * a.strideW === 1 && a.padTop + a.padLeft + a.padBottom + a.padRight === 0 && dense(from) && dense(to);
}

function eachGroupOfPixels(g: FilterGradient): void {
  const { k, from, to, a } = g;
  if (isFlat(g)) {
    const total = to.batches * to.height * to.width;
    const group = Math.max(64, Math.floor(CLOSE / (from.channels + to.channels)));
    k.for(
      "group",
      0,
      k.int("pixels", total),
      (first) => {
        const count = k.let("count", k.int("pixels", total).sub(first).min(group));
        addTiles(g, (body) => body({ x: first.mul(from.channels), dy: first.mul(to.channels), count }));
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
        addTiles(g, (body) =>
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

/** Sums lie channel after channel in vectors; weights lie window after window. */
function storeWeights(g: FilterGradient, dw: Buffer): void {
  const { k, depth, to } = g;
  for (const block of blocksOf(to.channels)) {
    const width = LANES * block.vectors;
    k.for("c", 0, Math.min(width, to.channels - block.first), (c) => {
      const at = k.let("at", c.add(block.first).mul(depth));
      const place = k.let("sum_at", c.add(block.first * depth));
      k.for("e", 0, depth, (e) => dw.store(at.add(e), g.sums.load(place.add(e.mul(width)))));
    });
  }
}

function kernel(k: KernelBuilder, node: Node, layouts: NodeLayouts): KernelInstance {
  const a = attributesOf<FilterGradientAttributes>(node);
  const from = imagesOf(inputOf(node, 0).shape, layouts.inputs[0]!);
  const to = imagesOf(inputOf(node, 1).shape, layouts.inputs[1]!);
  const run = a.filterW * from.channels;
  const depth = a.filterH * run;
  const length = depth * Math.ceil(to.channels / LANES) * LANES;
  const [x, dy, dw] = [k.input(0, "x"), k.input(1, "dy"), k.output(0, "dw")];
  const g: FilterGradient = { k, x, dy, sums: k.scratch("sums", "f32", length), from, to, a, run, depth };
  k.for("i", 0, length, (i) => store(k, g.sums, i, constant(0, "f32x4")), LANES);
  eachGroupOfPixels(g);
  storeWeights(g, dw);
  return k.finish(
    "conv2d_filter_gradient_f32_simd",
    "Gradient of a convolution with respect to its weights: tiles of a window's elements by output channels, over all pixels.",
  );
}

/** Convolutions without groups and dilation. */
export const filterGradientSchedule: Schedule = (node) => {
  const a = attributesOf<FilterGradientAttributes>(node);
  const [x, dy] = [inputOf(node, 0), inputOf(node, 1)];
  const dilated = (a.dilationH ?? 1) !== 1 || (a.dilationW ?? 1) !== 1;
  if (!isFloatStep(node, [0, 1]) || dilated || a.groupChannels !== x.shape[3]) return undefined;
  const border = { top: a.padTop, bottom: a.padBottom, left: a.padLeft, right: a.padRight };
  // The last vector of a pixel's channels may reach into what comes behind.
  const tail = (LANES - (dy.shape[3]! % LANES)) % LANES;
  const made: Kernel = (k, layouts) => kernel(k, node, layouts);
  return Object.assign(made, {
    reads: [
      { border, tail: 0 },
      { border: { top: 0, bottom: 0, left: 0, right: 0 }, tail },
    ],
  });
};
