import { elementCount } from "../../../base/index.ts";
import type { Node } from "../../../graph/index.ts";
import { constant, type Expr, imagesOf, type KernelBuilder, type KernelInstance, NO_BORDER } from "../../../loops/index.ts";
import {
  type ActivationGradientAttributes,
  attributesOf,
  type AveragePoolGradientAttributes,
  inputOf,
  type Kernel,
  type NodeLayouts,
  outputOf,
  type ReduceAttributes,
  type Schedule,
} from "../../../ops/index.ts";
import { clearBorder } from "../border.ts";
import { eachRun, eachVector, rowLength } from "../vectors.ts";
import {
  add,
  type Bounded,
  everywhere,
  isBounded,
  isFloatStep,
  LANES,
  load,
  type LoopWriter,
  mul,
  nestedLoops,
  store,
  whereOpen,
} from "./vectors.ts";

const ANY = { border: NO_BORDER, tail: 0 };

function activationKernel(k: KernelBuilder, node: Node, of: Bounded, layouts: NodeLayouts): KernelInstance {
  const [dy, reference, dx] = [k.input(0, "dy"), k.input(1, "y"), k.output(0, "dx")];
  const layout = layouts.outputs[0]!;
  const tensors = [layouts.inputs[0]!, layouts.inputs[1]!, layout].map((each) => imagesOf(outputOf(node).shape, each));
  eachRun(k, tensors, (at, count) =>
    eachVector(k, count, LANES, (i) => {
      const [from, result, to] = at.map((first) => first.add(i)) as [Expr, Expr, Expr];
      store(k, dx, to, whereOpen(k, of, load(dy, from), load(reference, result)));
    }),
  );
  clearBorder(k, dx, layout, tensors[2]!);
  return k.finish(`activation_gradient_${of.toLowerCase()}_f32_simd`, `Gradient through ${of}, four elements at a time.`);
}

/** Activations that pass a gradient or stop it. */
export const activationGradientSchedule: Schedule = (node) => {
  const { of } = attributesOf<ActivationGradientAttributes>(node);
  if (!isFloatStep(node, [0, 1]) || !isBounded(of) || rowLength(outputOf(node).shape) < LANES) return undefined;
  const kernel: Kernel = (k, layouts) => activationKernel(k, node, of, layouts);
  return Object.assign(kernel, { reads: [ANY, ANY], writesAny: true });
};

/** Sums of rows [rows, channels], each channel's in the rows' order. */
function channelSumKernel(k: KernelBuilder, rows: number, channels: number): KernelInstance {
  const [x, y] = [k.input(0, "x"), k.output(0, "y")];
  // As many vectors as divide the channels, at most a line of the cache.
  const vectors = [4, 2, 1].find((count) => channels % (count * LANES) === 0)!;
  const each = (first: Expr): void => {
    const places = Array.from({ length: vectors }, (_, v) => first.add(v * LANES));
    const sums = places.map(() => k.variable("sum", constant(0, "f32x4")));
    k.for("row", 0, k.int("rows", rows), (row) => {
      const line = k.let("line", row.mul(k.int("channels", channels)));
      sums.forEach((sum, v) => sum.set(add(sum.get(), load(x, line.add(places[v]!)))));
    });
    sums.forEach((sum, v) => store(k, y, places[v]!, sum.get()));
  };
  k.parallelFor("channel", 0, k.int("channels", channels), each, vectors * LANES);
  return k.finish("sum_channels_f32_simd", "Sum of every channel over all rows, vectors of channels at a time.");
}

/** Sums over all dimensions before the channels: gradients of biases. */
export const channelSumSchedule: Schedule = (node) => {
  const { axes } = attributesOf<ReduceAttributes>(node);
  const { shape } = inputOf(node, 0);
  const kept = shape.filter((_, d) => d > Math.max(-1, ...axes));
  const channels = elementCount(kept);
  const leading = shape.every((size, d) => size === 1 || axes.includes(d) || d >= shape.length - kept.length);
  if (!isFloatStep(node, [0]) || !leading || axes.length === 0 || channels === 0 || channels % LANES !== 0) return undefined;
  return (k) => channelSumKernel(k, elementCount(shape) / channels, channels);
};

function averagePoolKernel(k: KernelBuilder, shape: readonly number[]): KernelInstance {
  const [images, height, width, channels] = shape as [number, number, number, number];
  const [dy, dx] = [k.input(0, "dy"), k.output(0, "dx")];
  const pixels = k.int("pixels", height * width);
  const share = k.let("share", everywhere(k, "part", 1 / (height * width)));
  const zero = k.let("zero", constant(0, "f32x4"));
  const [eachImage, eachPixel, eachBlock] = nestedLoops(k, images, height * width, channels / LANES) as [LoopWriter, LoopWriter, LoopWriter];
  eachImage("n", k.int("images", images), (n) =>
    eachPixel("p", pixels, (p) => {
      const [from, to] = [k.let("from", n.mul(channels)), k.let("to", n.mul(pixels).add(p).mul(channels))];
      // The plain loops add to 0, which turns -0 into 0.
      eachBlock("c", k.int("channels", channels), (c) => store(k, dx, to.add(c), add(zero, mul(load(dy, from.add(c)), share))), LANES);
    }),
  );
  return k.finish("average_pool_gradient_f32_simd", "Spreads each gradient over its map, four channels at a time.");
}

/** The average of a whole map. */
export const averagePoolGradientSchedule: Schedule = (node) => {
  const { shape, filterH, filterW } = attributesOf<AveragePoolGradientAttributes>(node);
  const [, height, width, channels] = shape as [number, number, number, number];
  const whole = inputOf(node, 0).shape[1] === 1 && inputOf(node, 0).shape[2] === 1 && filterH === height && filterW === width;
  return whole && isFloatStep(node, [0]) && channels % LANES === 0 ? (k) => averagePoolKernel(k, shape) : undefined;
};
