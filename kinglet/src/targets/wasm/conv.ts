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
} from "../../loops/index.ts";
import { convMultipliers, denseMultipliers, inputOf, type Kernel, type NodeLayouts, outputOf, type Schedule } from "../../ops/index.ts";
import { clearBorder } from "./border.ts";
import { type ByteForm, byteMath, floatMath, kernelName, type LayerMath, SUMS, type WeightForm, type Weights, weightType } from "./layer.ts";
import { convWish, elementBytes, filled, type Gather, gatherWindows, isFlat, roundUp, type Windows, windowsOf } from "./windows.ts";
import { emitTile, packTiles, type Runs, type Tile, type TileWeights } from "./tile.ts";

/** Weights of one turn over the pixels: what lies close to the processor while all pixels pass. */
const CLOSE_BYTES = 256 * 1024;

/** Pixels of a tile: four, or three where that wastes less; few pixels take a wider block of channels. */
function chooseTile(pixels: number, channels: number): Tile {
  if (pixels < 3) return { pixels, vectors: channels >= 16 ? 4 : 2 };
  const cost = (size: number): number => Math.ceil(pixels / size) * (size + 0.3);
  return { pixels: pixels >= 4 && cost(4) <= cost(3) ? 4 : 3, vectors: 2 };
}

/** Where a tile reads and writes: where its windows begin (the first says it for all that are not gathered), and for each pixel its first result. */
interface Place {
  readonly windows: readonly Expr[];
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
  readonly gather?: Gather;
}

/** Visits tiles from 0 to `count`; the last one moves back to end with the last pixel. */
function eachTile(k: KernelBuilder, name: "p" | "ox", count: number, size: number, body: (first: Expr) => void): void {
  const total = k.int(name === "ox" ? "out_w" : "pixels", count);
  const loop = name === "ox" ? k.for.bind(k) : k.parallelFor.bind(k);
  loop(`${name}_tile`, 0, total, (t) => body(count % size === 0 ? t : k.let(name, t.min(total.sub(size)))), size);
}

/** The first result of a pixel, counted over all images and lines. */
function resultAt(k: KernelBuilder, to: Images, pixel: Expr): Expr {
  const plain = pixel.mul(k.int("out_c", to.channels));
  if (to.row === to.width * to.channels && to.image === to.height * to.row) return plain;
  const line = k.let("line", pixel.div(k.int("out_w", to.width)));
  const start = plain.add(line.mul(k.int("out_border", to.row - to.width * to.channels)));
  const n = to.batches === 1 ? i32(0) : line.div(k.int("out_h", to.height));
  return k.let("at", start.add(n.mul(k.int("out_border_image", to.image - to.height * to.row))).add(k.int("out_first", to.first)));
}

/** Where the window of a pixel begins, counted over all images and lines. */
function windowAt(k: KernelBuilder, w: Windows, pixel: Expr): Expr {
  const { to } = w;
  const line = k.let("line", pixel.div(k.int("out_w", to.width)));
  const n = to.batches === 1 ? i32(0) : k.let("n", line.div(k.int("out_h", to.height)));
  const [oy, ox] = [line.sub(n.mul(k.int("out_h", to.height))), pixel.sub(line.mul(k.int("out_w", to.width)))];
  const start = n.mul(k.int("in_image", w.from.image)).add(oy.mul(k.int("in_step", w.strideH * w.from.row)));
  return k.let("window", start.add(ox.mul(k.int("step", w.runs.pixel))).add(k.int("in_first", w.first)));
}

/** All pixels as one row: their windows lie side by side in memory, or are gathered. */
function eachPixel(layer: TileLayer, to: Images, windows: (pixels: readonly Expr[]) => readonly Expr[], body: (place: Place) => void): void {
  const { k, tile } = layer;
  eachTile(k, "p", to.batches * to.height * to.width, tile.pixels, (p) => {
    const pixels = Array.from({ length: tile.pixels }, (_, j) => p.add(j));
    body({ windows: windows(pixels), output: pixels.map((pixel) => resultAt(k, to, pixel)) });
  });
}

/** The first window of pixels that lie side by side. */
function sideBySide(layer: TileLayer): (pixels: readonly Expr[]) => readonly Expr[] {
  return (pixels) => [layer.k.let("from", pixels[0]!.mul(layer.k.int("pixel", layer.runs.pixel)))];
}

function eachWindow(layer: TileLayer, w: Windows, body: (place: Place) => void): void {
  const { k, tile, channels } = layer;
  const { from, to } = w;
  k.for("n", 0, k.int("batches", to.batches), (n) =>
    k.parallelFor("oy", 0, k.int("out_h", to.height), (oy) => {
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
        body({ windows: [k.let("window", line.add(ox.mul(k.int("step", w.runs.pixel))))], output });
      });
    }),
  );
}

/** Computes the channels [first, end) of a tile's pixels. */
function emitBlocks(layer: TileLayer, place: Place, first: Expr, end: Expr): void {
  const { k, math, tile, channels, weights, depth } = layer;
  const width = SUMS * tile.vectors;
  const epilogue = math.epilogue(k, layer.output, layer.layout);
  const gathered = layer.gather?.(place.windows);
  const runs: Runs = gathered === undefined ? { ...layer.runs, input: layer.input } : { ...gathered.runs, input: gathered.buffer };
  k.for(
    "block",
    first,
    end,
    (block) => {
      const oc = channels % width === 0 || channels < width ? block : k.let("oc", block.min(k.int("channels", channels).sub(width)));
      const start = epilogue.start(oc, tile.vectors);
      const weight = k.let("weight", block.mul(k.int("depth", depth)));
      const sums = emitTile(k, math, tile, runs, weights, { input: gathered === undefined ? place.windows[0]! : i32(0), weight, start });
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

function weightTable(k: KernelBuilder, packed: Weights, tile: Tile): TileWeights {
  const bytes = packed instanceof Int16Array && tile.pixels === 1 && packed.every((w) => w >= -128 && w <= 127);
  if (bytes) return { buffer: k.constant("weights", "i8", new Int8Array(packed)), bytes };
  return { buffer: k.constant("weights", weightType(packed), packed), bytes };
}

function convKernel(k: KernelBuilder, node: Node, math: LayerMath, layouts: NodeLayouts): KernelInstance {
  const [x, y] = [inputOf(node, 0), outputOf(node)];
  const [from, to] = [imagesOf(x.shape, layouts.inputs[0]!), imagesOf(y.shape, layouts.outputs[0]!)];
  const w = windowsOf(node, math, from, to);
  const flat = isFlat(node, from);
  const tile = chooseTile(flat || w.gather ? to.batches * to.height * to.width : to.width, to.channels);
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
    weights: weightTable(k, packed, tile),
    depth: w.depth.length,
    runs: w.runs,
  };
  const layer: TileLayer = w.gather ? { ...plain, gather: gatherWindows(k, math, tile.pixels, plain.input, w) } : plain;
  emitLayer(layer, (body) => {
    if (w.gather) eachPixel(layer, to, (pixels) => pixels.map((pixel) => windowAt(k, w, pixel)), body);
    else if (flat) eachPixel(layer, to, sideBySide(layer), body);
    else eachWindow(layer, w, body);
  });
  clearBorder(k, layer.output, layer.layout, to);
  return k.finish(kernelName("conv2d", math), "2-D convolution in register tiles of pixels by channels.");
}

function rowForm(node: Node): WeightForm {
  const [channels, ...rest] = inputOf(node, 1).shape as [number, ...number[]];
  const taps = elementCount(rest);
  return { channels, taps, first: (channel) => channel * taps, step: 1 };
}

/** Convolutions without groups. */
export const convScheduleFor =
  (form: ByteForm): Schedule =>
  (node) => {
    if (inputOf(node, 0).shape[3] !== inputOf(node, 1).shape[3]) return undefined;
    const math = byteMath(node, rowForm(node), convMultipliers, form) ?? floatMath(node);
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
  const padded = roundUp(depth, math.group);
  const packed = packTiles(math, channels, depth, filled(0, depth, padded), SUMS * tile.vectors);
  const runs = { pixel: depth, rows: 1, row: 0, columns: 1, column: 0, run: padded };
  const weights = weightTable(k, packed, tile);
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
  emitLayer(layer, (body) => eachPixel(layer, to, sideBySide(layer), body));
  clearBorder(k, layer.output, layer.layout, to);
  return k.finish(kernelName("fully_connected", math), "Fully connected layer in register tiles of rows by channels.");
}

export const denseScheduleFor =
  (form: ByteForm): Schedule =>
  (node) => {
    const math = byteMath(node, rowForm(node), denseMultipliers, form) ?? floatMath(node);
    if (math === undefined) return undefined;
    const depth = inputOf(node, 1).shape[1]!;
    const kernel: Kernel = (k, layouts) => denseKernel(k, node, math, layouts);
    const wish = { border: NO_BORDER, tail: roundUp(depth, math.group) - depth, exact: true, unsigned: math.group === 4 };
    return Object.assign(kernel, { reads: [wish], writesAny: true });
  };
