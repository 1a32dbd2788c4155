import type { Node } from "../../graph/index.ts";
import { type Buffer, type Expr, helium, i32, type KernelBuilder, type KernelInstance, vectorLoad } from "../../loops/index.ts";
import {
  attributesOf,
  convMultipliers,
  type DepthwiseAttributes,
  inputOf,
  outputOf,
  type Schedule,
  type Walk,
  windowSizes,
} from "../../ops/index.ts";
import type { LayerForm } from "./layer.ts";
import { planVectors, QUAD, type QuadScale, quadScale, requantizeQuad, VECTOR, type VectorLayer, type VectorPlan } from "./mve-layer.ts";

/**
 * Rows and columns of input that one vector of a channel holds: the input is packed as [column][channel][row % 4], so
 * that the taps of four columns of one channel are four words, 16 bytes, for one load and one product.
 */
const TILE = 4;

/** Words of a packed column: one for each of 16 channels. */
const COLUMN = VECTOR;

interface Shape {
  readonly filterH: number;
  readonly filterW: number;
  readonly channels: number;
  /** Tiles of 4x4 taps that cover the window. */
  readonly tileRows: number;
  readonly tileColumns: number;
  /** Packed columns, with padding, and the first one that the input fills. */
  readonly columns: number;
  readonly padLeft: number;
}

function shapeOf(node: Node): Shape {
  const a = attributesOf<DepthwiseAttributes>(node);
  const [x, w, y] = [inputOf(node, 0).shape, inputOf(node, 1).shape, outputOf(node).shape];
  const [filterH, filterW] = [w[1]!, w[2]!];
  const tileColumns = Math.ceil(filterW / TILE);
  const columns = Math.max((y[2]! - 1) * a.strideW + TILE * tileColumns, a.padLeft + x[2]!);
  return { filterH, filterW, channels: x[3]!, tileRows: Math.ceil(filterH / TILE), tileColumns, columns, padLeft: a.padLeft };
}

function channelForm(node: Node): LayerForm {
  const [, height, width, channels] = inputOf(node, 1).shape as [number, number, number, number];
  return { channels, taps: height * width, first: (channel) => channel, step: channels, block: QUAD, fold: true };
}

/** Weights as words: [channel][tile row][tile column][column % 4][row % 4], zero where a tile reaches over the window. */
function packTiles(weights: Int8Array, s: Pick<Shape, "filterH" | "filterW" | "channels" | "tileRows" | "tileColumns">): Int32Array {
  const packed = new Int8Array(s.channels * s.tileRows * s.tileColumns * VECTOR);
  for (let ky = 0; ky < s.filterH; ky++) {
    for (let kx = 0; kx < s.filterW; kx++) {
      const tile = Math.floor(ky / TILE) * s.tileColumns + Math.floor(kx / TILE);
      for (let c = 0; c < s.channels; c++) {
        const at = (c * s.tileRows * s.tileColumns + tile) * VECTOR + (kx % TILE) * TILE + (ky % TILE);
        packed[at] = weights[(ky * s.filterW + kx) * s.channels + c]!;
      }
    }
  }
  return new Int32Array(packed.buffer);
}

interface Packing {
  readonly shape: Shape;
  readonly sizes: ReturnType<typeof windowSizes>;
  readonly input: Buffer;
  /** The packed rows of up to 16 channels: [tile row][column][channel][row % 4]. */
  readonly packed: Buffer;
  readonly zero: Expr;
  /** Words of a tile row of `packed`. */
  readonly plane: Expr;
}

/** The rows of one tile row at one column; rows outside the input are the zero point. */
function packColumn(k: KernelBuilder, p: Packing, first: Expr, column: Expr, tileRow: number, inside: readonly Expr[] | null): void {
  const count = Math.min(TILE, p.shape.filterH - TILE * tileRow);
  const options = p.shape.channels < VECTOR ? { count: p.shape.channels } : {};
  const pitch = p.sizes.inW.mul(p.sizes.inC);
  const load = (row: number): Expr =>
    vectorLoad("i8x16", p.input, first.add(pitch.mul(TILE * tileRow + row)).add(column.mul(p.sizes.inC)), "full", options);
  const rows = Array.from({ length: count }, (_, row) => {
    if (inside === null) return k.let(`row${row}`, load(row));
    const variable = k.variable(`row${row}`, p.zero);
    k.if(inside[TILE * tileRow + row]!, () => variable.set(load(row)));
    return variable.get();
  });
  // The fourth row of a tile meets weights of zero where the window has only three.
  const four = Array.from({ length: TILE }, (_, row) => rows[Math.min(row, count - 1)]!);
  const to = p.plane.mul(tileRow).add(column.add(k.int("pad_left", p.shape.padLeft)).mul(COLUMN));
  k.storeVector(p.packed, to, four[0]!, "interleave4", four.slice(1));
}

/** Packs the input rows under one row of outputs: 16 channels from `first`, the element of row `y0`, column 0. */
function packRows(k: KernelBuilder, p: Packing, y0: Expr, first: Expr): void {
  const { filterH, tileRows } = p.shape;
  const columns = (inside: readonly Expr[] | null): void =>
    k.for("column", 0, p.sizes.inW, (column) => {
      for (let tile = 0; tile < tileRows; tile++) packColumn(k, p, first, column, tile, inside);
    });
  const whole = y0.ge(0).and(y0.add(filterH).le(p.sizes.inH));
  k.if(
    whole,
    () => columns(null),
    () => {
      const row = (i: number): Expr => k.let(`inside${i}`, y0.add(i).ge(0).and(y0.add(i).lt(p.sizes.inH)));
      columns(Array.from({ length: filterH }, (_, i) => row(i).ne(0)));
    },
  );
}

/** A quad of channels of one output: a product for each channel and tile. */
function quadOutput(k: KernelBuilder, p: Packing, weightAt: (channel: number, tile: number) => Expr, at: Expr): Expr[] {
  const { tileRows, tileColumns } = p.shape;
  return Array.from({ length: QUAD }, (_, c) => {
    let sum: Expr | undefined;
    for (let tile = 0; tile < tileRows * tileColumns; tile++) {
      const from = at
        .add(c)
        .add(p.plane.mul(Math.floor(tile / tileColumns)))
        .add((tile % tileColumns) * TILE * COLUMN);
      const x = k.let(`x${c}`, vectorLoad("i8x16", p.packed, from, "gather", { stride: i32(COLUMN) }));
      const w = weightAt(c, tile);
      sum = k.let(`sum${c}`, sum === undefined ? helium("product", x, w) : helium("dot", sum, x, w));
    }
    return sum!;
  });
}

interface Kernel {
  readonly packing: Packing;
  readonly layer: VectorLayer;
  readonly weights: Buffer;
  readonly output: Buffer;
  readonly strideW: Expr;
}

/** A quad of channels along a row of outputs. Weights of one tile stay in registers. */
function quadRow(k: KernelBuilder, d: Kernel, channel: Expr, lane: Expr, to: Expr): void {
  const { shape, sizes } = d.packing;
  const tiles = shape.tileRows * shape.tileColumns;
  const load = (c: number, tile: number): Expr => vectorLoad("i8x16", d.weights, channel.mul(4 * tiles).add(4 * (c * tiles + tile)));
  const kept = tiles > 1 ? undefined : Array.from({ length: QUAD }, (_, c) => k.let(`w${c}`, load(c, 0)));
  const scale: QuadScale = quadScale(k, d.layer, channel);
  k.for("ox", 0, sizes.outW, (ox) => {
    const sums = quadOutput(
      k,
      d.packing,
      (c, tile) => kept?.[c] ?? k.let(`w${c}`, load(c, tile)),
      k.let("x_at", ox.mul(d.strideW).mul(COLUMN).add(lane)),
    );
    k.storeVector(d.output, to.add(ox.mul(sizes.outC)), requantizeQuad(k, d.layer, scale, sums), "narrow");
  });
}

/** One row of outputs, 16 channels at a time. The last 16 may start among those before: only what is new is computed. */
function outputRow(k: KernelBuilder, d: Kernel, n: Expr, oy: Expr, y0: Expr): void {
  const { sizes, shape } = d.packing;
  const channels = k.int("channels", shape.channels);
  k.for(
    "block",
    0,
    channels,
    (block) => {
      const c0 = shape.channels < VECTOR ? block : shape.channels % VECTOR === 0 ? block : k.let("c0", block.min(channels.sub(VECTOR)));
      packRows(k, d.packing, y0, k.let("first", n.mul(sizes.inH).add(y0).mul(sizes.inW).mul(sizes.inC).add(c0)));
      const line = k.let("line", n.mul(sizes.outH).add(oy).mul(sizes.outW).mul(sizes.outC));
      k.for("lane", block.sub(c0), channels.min(VECTOR), (lane) => quadRow(k, d, k.let("channel", c0.add(lane)), lane, line.add(c0).add(lane)), QUAD);
    },
    VECTOR,
  );
}

function depthwiseKernel(k: KernelBuilder, node: Node, plan: VectorPlan, direction: Walk): KernelInstance {
  const a = attributesOf<DepthwiseAttributes>(node);
  const [x, y] = [inputOf(node, 0), outputOf(node)];
  const shape = shapeOf(node);
  const input = k.input(0, "x");
  const weights = k.constant("w", "i32", packTiles(plan.weights, shape));
  const layer = plan.tables(k);
  const output = k.output(0, "y");
  const sizes = windowSizes(k, x, y, shape.filterH, shape.filterW);
  const words = shape.columns * COLUMN;
  const packed = k.scratch("packed", "i32", words * shape.tileRows);
  const zero = k.let("zero", helium("bytes", k.int("input_zero_point", x.quantization!.zeroPoints[0]!)));
  const packing: Packing = { shape, sizes, input, packed, zero, plane: k.int("plane", words) };
  k.for("column", 0, k.int("columns", shape.columns * shape.tileRows), (column) =>
    k.storeVector(packed, column.mul(COLUMN), zero, "interleave4", [zero, zero, zero]),
  );
  const d: Kernel = { packing, layer, weights, output, strideW: k.int("stride_w", a.strideW) };
  const [start, step] = [k.int("oy_start", direction === "forward" ? 0 : y.shape[1]! - 1), k.int("walk", direction === "forward" ? 1 : -1)];
  k.for("n", 0, sizes.batches, (n) =>
    k.for("i", 0, sizes.outH, (i) => {
      const oy = k.let("oy", start.add(i.mul(step)));
      outputRow(k, d, n, oy, k.let("y0", oy.mul(k.int("stride_h", a.strideH)).sub(k.int("pad_top", a.padTop))));
    }),
  );
  return k.finish("depthwise_conv2d_s8_mve", "Depthwise 2-D convolution: 4x4 taps of a channel in one product, four channels at a time.", {
    asWritten: true,
  });
}

/** Depthwise layers with multiplier 1 of whole quads with Helium, else `otherwise`. */
export function vectorDepthwiseSchedule(otherwise: Schedule): Schedule {
  return (node, direction = "forward") => {
    const a = attributesOf<DepthwiseAttributes>(node);
    const simple = a.depthMultiplier === 1 && (a.dilationH ?? 1) === 1 && (a.dilationW ?? 1) === 1 && inputOf(node, 0).shape[3]! % QUAD === 0;
    const plan = simple ? planVectors(node, convMultipliers, channelForm(node)) : undefined;
    return plan === undefined ? otherwise(node, direction) : (k) => depthwiseKernel(k, node, plan, direction);
  };
}
