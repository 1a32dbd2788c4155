import type { Node } from "../../graph/index.ts";
import { type Buffer, type Expr, f32, intrinsic, type KernelBuilder, type KernelInstance, type Variable } from "../../loops/index.ts";
import {
  type Activation,
  attributesOf,
  eachInside,
  eachPixel,
  floatBounds,
  inputOf,
  outputOf,
  type Schedule,
  type WindowAttributes,
  windowSizes,
} from "../../ops/index.ts";

/** Output channels that share each load of an input. */
const BLOCK = 4;

interface FloatLayer {
  readonly weights: Buffer;
  readonly bias: Buffer;
  readonly finish: (sum: Expr) => Expr;
  readonly channels: Expr;
  readonly tail: boolean;
  /** Inputs in a turn of the inner loop. */
  readonly unroll: number;
}

/** Rows of `depth` weights, four interleaved; short blocks are filled up with zeros. */
function interleave(rows: Float32Array, channels: number, depth: number): Float32Array {
  const packed = new Float32Array(Math.ceil(channels / BLOCK) * BLOCK * depth);
  for (let c = 0; c < channels; c++) {
    const first = (c - (c % BLOCK)) * depth + (c % BLOCK);
    for (let i = 0; i < depth; i++) packed[first + i * BLOCK] = rows[c * depth + i]!;
  }
  return packed;
}

function isFloatLayer(node: Node): boolean {
  const bias = node.inputs[2];
  const floats = [inputOf(node, 0), inputOf(node, 1), outputOf(node)].every((value) => value.dtype === "float32");
  return floats && inputOf(node, 1).data !== undefined && (bias === null || bias === undefined || bias.data !== undefined);
}

function floatLayer(k: KernelBuilder, node: Node, inner: number): FloatLayer {
  const w = inputOf(node, 1);
  const channels = w.shape[0]!;
  const bias = new Float32Array(Math.ceil(channels / BLOCK) * BLOCK);
  bias.set((node.inputs[2]?.data as Float32Array | undefined) ?? []);
  const { low, high } = floatBounds(attributesOf<{ activation: Activation }>(node).activation);
  return {
    weights: k.constant("w", "f32", interleave(w.data as Float32Array, channels, w.data!.length / channels)),
    bias: k.constant("bias", "f32", bias),
    finish: (sum) => (low === -Infinity && high === Infinity ? sum : sum.clamp(k.float("low", low), k.float("high", high))),
    channels: k.int("out_c", channels),
    tail: channels % BLOCK !== 0,
    unroll: inner % 4 === 0 ? 4 : 1,
  };
}

/** sums[j] += Σ x[from + i] · w[tap + 4i + j], in the order of the plain loops. */
function addRow(k: KernelBuilder, layer: FloatLayer, sums: readonly Variable[], x: Buffer, from: Expr, tap: Expr, length: Expr): void {
  k.for(
    "ic",
    0,
    length,
    (ic) => {
      const at = k.let("at", from.add(ic));
      const first = k.let("tap_at", tap.add(ic.mul(BLOCK)));
      for (let u = 0; u < layer.unroll; u++) {
        const value = k.let(`x${u}`, x.load(at.add(u)));
        sums.forEach((sum, j) => sum.set(intrinsic("multiplyAdd", value, layer.weights.load(first.add(BLOCK * u + j)), sum.get())));
      }
    },
    layer.unroll,
  );
}

function eachBlock(k: KernelBuilder, layer: FloatLayer, output: Buffer, to: Expr, fill: (oc: Expr, sums: readonly Variable[]) => void): void {
  k.for(
    "oc",
    0,
    layer.channels,
    (oc) => {
      const sums = Array.from({ length: BLOCK }, (_, j) => k.variable(`acc${j}`, f32(0)));
      fill(oc, sums);
      sums.forEach((sum, j) => {
        const write = (): void => output.store(to.add(oc).add(j), layer.finish(k.let(`sum${j}`, sum.get().add(layer.bias.load(oc.add(j))))));
        if (j > 0 && layer.tail) k.if(oc.add(j).lt(layer.channels), write);
        else write();
      });
    },
    BLOCK,
  );
}

function convKernel(k: KernelBuilder, node: Node): KernelInstance {
  const a = attributesOf<WindowAttributes>(node);
  const [x, w, y] = [inputOf(node, 0), inputOf(node, 1), outputOf(node)];
  const input = k.input(0, "x");
  const layer = floatLayer(k, node, w.shape[3]!);
  const output = k.output(0, "y");
  const sizes = windowSizes(k, x, y, w.shape[1]!, w.shape[2]!);
  const depth = k.int("depth", w.data!.length / w.shape[0]!);
  eachPixel(k, sizes, a, (n, oy, ox, y0, x0) => {
    const to = k.let("to", n.mul(sizes.outH).add(oy).mul(sizes.outW).add(ox).mul(sizes.outC));
    eachBlock(k, layer, output, to, (oc, sums) => {
      const block = k.let("block", oc.mul(depth));
      eachInside(k, sizes, a, n, y0, x0, (ky, kx, pixel) => {
        const tap = k.let("tap", block.add(ky.mul(sizes.filterW).add(kx).mul(sizes.inC).mul(BLOCK)));
        addRow(k, layer, sums, input, k.let("from", pixel.mul(sizes.inC)), tap, sizes.inC);
      });
    });
  });
  return k.finish("conv2d_block_f32", "2-D convolution, four output channels at a time.");
}

function denseKernel(k: KernelBuilder, node: Node): KernelInstance {
  const [w, y] = [inputOf(node, 1), outputOf(node)];
  const input = k.input(0, "x");
  const layer = floatLayer(k, node, w.shape[1]!);
  const output = k.output(0, "y");
  const depth = k.int("depth", w.shape[1]!);
  k.for("row", 0, k.int("rows", y.shape.reduce((p, d) => p * d, 1) / w.shape[0]!), (row) =>
    eachBlock(k, layer, output, k.let("to", row.mul(layer.channels)), (oc, sums) =>
      addRow(k, layer, sums, input, k.let("from", row.mul(depth)), k.let("block", oc.mul(depth)), depth),
    ),
  );
  return k.finish("fully_connected_block_f32", "Fully connected layer, four output channels at a time.");
}

/** Float layers on cores with a fused multiply-add; `otherwise` serves the rest. */
export function floatConvSchedule(otherwise: Schedule): Schedule {
  return (node, walk) => {
    const plainGroups = inputOf(node, 1).shape[3] === inputOf(node, 0).shape[3];
    return isFloatLayer(node) && plainGroups ? (k) => convKernel(k, node) : otherwise(node, walk);
  };
}

export function floatDenseSchedule(otherwise: Schedule): Schedule {
  return (node, walk) =>
    isFloatLayer(node) && attributesOf<{ activation: Activation }>(node).activation !== "tanh" ? (k) => denseKernel(k, node) : otherwise(node, walk);
}
