import { elementCount } from "../../base/index.ts";
import type { Node } from "../../graph/index.ts";
import {
  type Buffer,
  type Expr,
  i32,
  type Images,
  imagesOf,
  type KernelBuilder,
  type KernelInstance,
  type Layout,
  NO_BORDER,
  vectorLoad,
} from "../../loops/index.ts";
import {
  attributesOf,
  convMultipliers,
  denseMultipliers,
  inputOf,
  type Kernel,
  type LayoutWish,
  type NodeLayouts,
  outputOf,
  type Schedule,
  type WindowAttributes,
} from "../../ops/index.ts";
import { clearBorder, vectorOf } from "./border.ts";
import { byteMath, floatMath, type LayerMath, SUMS, type WeightForm } from "./layer.ts";
import { emitTile, packTiles, type Runs, type Tile, type TileWeights } from "./tile.ts";

/** Weights of one turn over the pixels: what lies close to the processor while all pixels pass. */
const CLOSE_BYTES = 256 * 1024;

/** Bytes of a vector load. */
const VECTOR_BYTES = 16;

/** How a convolution's windows lie in an input with its border. */
interface Windows {
  readonly from: Images;
  readonly to: Images;
  readonly strideH: number;
  readonly strideW: number;
  /** The first element of the first window. */
  readonly first: number;
  readonly runs: Omit<Runs, "input">;
  /** For each element that is read of a window, which weight of a channel it meets; −1 for none. */
  readonly depth: readonly number[];
  /** Runs are so short that a tile copies its windows together first. */
  readonly gather: boolean;
}

function roundUp(value: number, unit: number): number {
  return Math.ceil(value / unit) * unit;
}

/** Counts up to `count`, filled up to `padded` with −1. */
function filled(start: number, count: number, padded: number): number[] {
  return Array.from({ length: padded }, (_, i) => (i < count ? start + i : -1));
}

function elementBytes(math: LayerMath): number {
  return math.pair === 2 ? 2 : 4;
}

/** Elements of a window that lie side by side in memory: a filter row, or where columns are dilated the channels of one. */
function runOf(node: Node): { runs: number; run: number } {
  const [, filterH, filterW, inC] = inputOf(node, 1).shape as [number, number, number, number];
  const joined = (attributesOf<WindowAttributes>(node).dilationW ?? 1) === 1 || filterW === 1;
  return joined ? { runs: filterH, run: filterW * inC } : { runs: filterH * filterW, run: inC };
}

function gathers(node: Node, math: LayerMath): boolean {
  const { runs, run } = runOf(node);
  return runs > 1 && run * elementBytes(math) <= VECTOR_BYTES;
}

function windowsOf(node: Node, math: LayerMath, from: Images, to: Images): Windows {
  const a = attributesOf<WindowAttributes>(node);
  const [, filterH, filterW, inC] = inputOf(node, 1).shape as [number, number, number, number];
  const { runs: count, run } = runOf(node);
  const gather = gathers(node, math);
  const padded = roundUp(run, math.pair);
  const all = count * run;
  const runs = {
    pixel: a.strideW * inC,
    rows: filterH,
    row: (a.dilationH ?? 1) * from.row,
    columns: count / filterH,
    column: (a.dilationW ?? 1) * inC,
    run: padded,
  };
  const depth = gather ? filled(0, all, roundUp(all, math.pair)) : Array.from({ length: count }, (_, r) => filled(r * run, run, padded)).flat();
  const first = from.first - a.padTop * from.row - a.padLeft * inC;
  return { from, to, strideH: a.strideH, strideW: a.strideW, first, runs: { ...runs, ...(filterW === 1 ? { column: 0 } : {}) }, depth, gather };
}

/** Pixels of a tile: four, or three where that wastes less; few pixels take a wider block of channels. */
function chooseTile(pixels: number, channels: number): Tile {
  if (pixels < 3) return { pixels, vectors: channels >= 16 ? 4 : 2 };
  const cost = (size: number): number => Math.ceil(pixels / size) * (size + 0.3);
  return { pixels: pixels >= 4 && cost(4) <= cost(3) ? 4 : 3, vectors: 2 };
}

/** Where a tile reads and writes: the element of the first pixel's window, and for each pixel its first result. */
interface Place {
  readonly input: Expr;
  readonly output: readonly Expr[];
}

/** Everything about a layer that its tiles share. */
interface TileLayer {
  readonly k: KernelBuilder;
  readonly math: LayerMath;
  readonly tile: Tile;
  readonly channels: number;
  readonly input: Buffer;
  readonly output: Buffer;
  readonly layout: Layout;
  readonly weights: TileWeights;
  readonly depth: number;
  readonly runs: Omit<Runs, "input">;
  /** Copies the windows of a tile together and says where. */
  readonly gather?: (from: Expr) => { readonly buffer: Buffer; readonly runs: Omit<Runs, "input"> };
}

/** Visits tiles from 0 to `count`; the last one moves back to end with the last pixel. */
function eachTile(k: KernelBuilder, name: string, count: number, size: number, body: (first: Expr) => void): void {
  const total = k.int(name === "ox" ? "out_w" : "pixels", count);
  k.for(`${name}_tile`, 0, total, (t) => body(count % size === 0 ? t : k.let(name, t.min(total.sub(size)))), size);
}

/** Input and output without borders, one element each way: all pixels are one row. */
function eachRowPixels(layer: TileLayer, to: Images, body: (place: Place) => void): void {
  const { k, tile, channels } = layer;
  const pixels = to.batches * to.height * to.width;
  const bordered = to.row !== to.width * channels || to.image !== to.height * to.row;
  eachTile(k, "p", pixels, tile.pixels, (p) => {
    const output = Array.from({ length: tile.pixels }, (_, j) => {
      const pixel = p.add(j);
      if (!bordered) return pixel.mul(k.int("out_c", channels));
      const line = k.let("line", pixel.div(k.int("out_w", to.width)));
      const plain = pixel.mul(k.int("out_c", channels)).add(line.mul(k.int("out_border", to.row - to.width * channels)));
      const n = to.batches === 1 ? undefined : line.div(k.int("out_h", to.height));
      const start = n === undefined ? plain : plain.add(n.mul(k.int("out_border_image", to.image - to.height * to.row)));
      return k.let("at", start.add(k.int("out_first", to.first)));
    });
    body({ input: k.let("from", p.mul(k.int("pixel", layer.runs.pixel))), output });
  });
}

function eachWindow(layer: TileLayer, w: Windows, body: (place: Place) => void): void {
  const { k, tile, channels } = layer;
  const { from, to } = w;
  k.for("n", 0, k.int("batches", to.batches), (n) =>
    k.for("oy", 0, k.int("out_h", to.height), (oy) => {
      const line = k.let(
        "line",
        n
          .mul(k.int("in_image", from.image))
          .add(oy.mul(k.int("in_step", w.strideH * from.row)))
          .add(k.int("in_first", w.first)),
      );
      const row = k.let(
        "row",
        n
          .mul(k.int("out_image", to.image))
          .add(oy.mul(k.int("out_row", to.row)))
          .add(k.int("out_first", to.first)),
      );
      eachTile(k, "ox", to.width, tile.pixels, (ox) => {
        const at = k.let("at", row.add(ox.mul(k.int("out_c", channels))));
        const output = Array.from({ length: tile.pixels }, (_, j) => (j === 0 ? at : at.add(k.int("out_c", channels).mul(j))));
        body({ input: k.let("window", line.add(ox.mul(k.int("step", w.runs.pixel)))), output });
      });
    }),
  );
}

/** Computes the channels [first, end) of a tile's pixels. */
function emitBlocks(layer: TileLayer, place: Place, first: Expr, end: Expr): void {
  const { k, math, tile, channels, weights, depth } = layer;
  const width = SUMS * tile.vectors;
  const epilogue = math.epilogue(k, layer.output, layer.layout);
  const gathered = layer.gather?.(place.input);
  const runs: Runs = gathered === undefined ? { ...layer.runs, input: layer.input } : { ...gathered.runs, input: gathered.buffer };
  k.for(
    "block",
    first,
    end,
    (block) => {
      const oc = channels % width === 0 || channels < width ? block : k.let("oc", block.min(k.int("channels", channels).sub(width)));
      const start = epilogue.start(oc, tile.vectors);
      const weight = k.let("weight", block.mul(k.int("depth", depth)));
      const sums = emitTile(k, math, tile, runs, weights, { input: gathered === undefined ? place.input : i32(0), weight, start });
      const store = epilogue.finish(oc, tile.vectors);
      sums.forEach((row, j) =>
        store(
          row.map((sum) => sum.get()),
          place.output[j]!.add(oc),
        ),
      );
    },
    width,
  );
}

/** All pixels for as many channels as have their weights close by, then the next. */
function emitLayer(layer: TileLayer, each: (body: (place: Place) => void) => void): void {
  const { k, channels, tile, weights, depth, math } = layer;
  const width = SUMS * tile.vectors;
  const blockBytes = depth * width * (weights.bytes ? 1 : elementBytes(math));
  const group = Math.max(1, Math.floor(CLOSE_BYTES / blockBytes)) * width;
  const total = k.int("channels", channels);
  if (group >= channels || tile.pixels === 1) each((place) => emitBlocks(layer, place, i32(0), total));
  else k.for("group", 0, total, (first) => each((place) => emitBlocks(layer, place, first, k.let("end", first.add(group).min(total)))), group);
}

function weightTable(k: KernelBuilder, math: LayerMath, packed: Int16Array | Float32Array, tile: Tile): TileWeights {
  const bytes = packed instanceof Int16Array && tile.pixels === 1 && packed.every((w) => w >= -128 && w <= 127);
  if (bytes) return { buffer: k.constant("weights", "i8", Int8Array.from(packed)), bytes };
  return { buffer: k.constant("weights", math.pair === 2 ? "i16" : "f32", packed), bytes };
}

/** A tile's windows one after another: every run is one vector, and what it brings too much the next one overwrites. */
function gatherWindows(layer: Omit<TileLayer, "gather">, w: Windows): NonNullable<TileLayer["gather"]> {
  const { k, math, tile, input } = layer;
  const type = vectorOf(math.pair === 2 ? "i16" : "f32");
  const depth = w.depth.length;
  const run = w.depth.filter((d) => d >= 0).length / (w.runs.rows * w.runs.columns);
  const buffer = k.scratch("windows", math.pair === 2 ? "i16" : "f32", tile.pixels * depth + VECTOR_BYTES / elementBytes(math));
  return (from) => {
    for (let p = 0; p < tile.pixels; p++) {
      k.for("ky", 0, k.int("filter_rows", w.runs.rows), (ky) =>
        k.for("kx", 0, k.int("filter_columns", w.runs.columns), (kx) => {
          const at = from
            .add(p * w.runs.pixel)
            .add(ky.mul(k.int("filter_row", w.runs.row)))
            .add(kx.mul(k.int("filter_column", w.runs.column)));
          const to = ky
            .mul(k.int("filter_columns", w.runs.columns))
            .add(kx)
            .mul(run)
            .add(p * depth);
          k.emit({ kind: "vectorStore", buffer, index: to, value: vectorLoad(type, input, at), form: "full" });
        }),
      );
    }
    return { buffer, runs: { pixel: depth, rows: 1, row: 0, columns: 1, column: 0, run: depth } };
  };
}

/** Windows of one pixel, side by side in memory. */
function isFlat(node: Node, from: Images): boolean {
  const a = attributesOf<WindowAttributes>(node);
  const [, filterH, filterW] = inputOf(node, 1).shape as [number, number, number];
  const single = filterH * filterW === 1 && a.strideH * a.strideW === 1 && a.padTop + a.padBottom + a.padLeft + a.padRight === 0;
  return single && from.row === from.width * from.channels && from.image === from.height * from.row;
}

function convKernel(k: KernelBuilder, node: Node, math: LayerMath, layouts: NodeLayouts): KernelInstance {
  const [x, y] = [inputOf(node, 0), outputOf(node)];
  const [from, to] = [imagesOf(x.shape, layouts.inputs[0]!), imagesOf(y.shape, layouts.outputs[0]!)];
  const w = windowsOf(node, math, from, to);
  const flat = isFlat(node, from);
  const tile = chooseTile(flat ? to.batches * to.height * to.width : to.width, to.channels);
  const taps = elementCount(inputOf(node, 1).shape.slice(1));
  const packed = packTiles(math, to.channels, taps, w.depth, SUMS * tile.vectors);
  const plain = {
    k,
    math,
    tile,
    channels: to.channels,
    input: k.input(0, "x"),
    output: k.output(0, "y"),
    layout: layouts.outputs[0]!,
    weights: weightTable(k, math, packed, tile),
    depth: w.depth.length,
    runs: w.runs,
  };
  const layer: TileLayer = w.gather ? { ...plain, gather: gatherWindows(plain, w) } : plain;
  emitLayer(layer, (body) => (flat ? eachRowPixels(layer, to, body) : eachWindow(layer, w, body)));
  clearBorder(k, layer.output, layer.layout, to);
  return k.finish(`conv2d_${math.pair === 2 ? "s8" : "f32"}_simd`, "2-D convolution in register tiles of pixels by channels.");
}

function rowForm(node: Node): WeightForm {
  const [channels, ...rest] = inputOf(node, 1).shape as [number, ...number[]];
  const taps = elementCount(rest);
  return { channels, taps, first: (channel) => channel * taps, step: 1 };
}

function convWish(node: Node, math: LayerMath): LayoutWish {
  const a = attributesOf<WindowAttributes>(node);
  const { run } = runOf(node);
  const tail = gathers(node, math) ? VECTOR_BYTES / elementBytes(math) : run % math.pair;
  return { border: { top: a.padTop, bottom: a.padBottom, left: a.padLeft, right: a.padRight }, tail };
}

/** Convolutions without groups. */
export const convSchedule: Schedule = (node) => {
  if (inputOf(node, 0).shape[3] !== inputOf(node, 1).shape[3]) return undefined;
  const math = byteMath(node, rowForm(node), convMultipliers) ?? floatMath(node);
  if (math === undefined) return undefined;
  const kernel: Kernel = (k, layouts) => convKernel(k, node, math, layouts);
  return Object.assign(kernel, { reads: [convWish(node, math)], writesAny: true });
};

/** A fully connected layer is a 1x1 convolution of its rows. */
function denseKernel(k: KernelBuilder, node: Node, math: LayerMath, layouts: NodeLayouts): KernelInstance {
  const [channels, depth] = inputOf(node, 1).shape as [number, number];
  const rows = elementCount(inputOf(node, 0).shape) / depth;
  const to = imagesOf(outputOf(node).shape, layouts.outputs[0]!);
  const tile = chooseTile(rows, channels);
  const padded = roundUp(depth, math.pair);
  const packed = packTiles(math, channels, depth, filled(0, depth, padded), SUMS * tile.vectors);
  const runs = { pixel: depth, rows: 1, row: 0, columns: 1, column: 0, run: padded };
  const weights = weightTable(k, math, packed, tile);
  const layer: TileLayer = {
    k,
    math,
    tile,
    channels,
    input: k.input(0, "x"),
    output: k.output(0, "y"),
    layout: layouts.outputs[0]!,
    weights,
    depth: padded,
    runs,
  };
  emitLayer(layer, (body) => eachRowPixels(layer, to, body));
  clearBorder(k, layer.output, layer.layout, to);
  return k.finish(`fully_connected_${math.pair === 2 ? "s8" : "f32"}_simd`, "Fully connected layer in register tiles of rows by channels.");
}

export const denseSchedule: Schedule = (node) => {
  const math = byteMath(node, rowForm(node), denseMultipliers) ?? floatMath(node);
  if (math === undefined) return undefined;
  const kernel: Kernel = (k, layouts) => denseKernel(k, node, math, layouts);
  const wish = { border: NO_BORDER, tail: inputOf(node, 1).shape[1]! % math.pair, exact: true };
  return Object.assign(kernel, { reads: [wish], writesAny: true });
};
