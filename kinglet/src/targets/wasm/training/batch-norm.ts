import type { Node } from "../../../graph/index.ts";
import {
  type Buffer,
  constant,
  type Expr,
  type Images,
  imagesOf,
  type KernelBuilder,
  type KernelInstance,
  NO_BORDER,
  vector,
} from "../../../loops/index.ts";
import { attributesOf, type BatchNormAttributes, inputOf, type Kernel, type NodeLayouts, outputOf, type Schedule } from "../../../ops/index.ts";
import { clearBorder } from "../border.ts";
import { clampFloats } from "../layer.ts";
import { add, div, everywhere, isFloatStep, LANES, load, mul, sqrt, store, sub } from "./vectors.ts";

/** Vectors of channels that a pass takes together: a line of the cache. */
const VECTORS = 4;

/** Channels of one pass. */
interface Group {
  readonly channel: Expr;
  readonly vectors: readonly number[];
}

/** All channels, a line of the cache at a time, then what is left. */
function eachGroup(k: KernelBuilder, channels: number, body: (group: Group) => void): void {
  const width = LANES * VECTORS;
  const whole = channels - (channels % width);
  const vectors = (count: number): number[] => Array.from({ length: count }, (_, v) => v);
  if (whole > 0) k.for("group", 0, k.int("whole", whole), (channel) => body({ channel, vectors: vectors(VECTORS) }), width);
  if (whole < channels) body({ channel: k.int("rest", whole), vectors: vectors((channels - whole) / LANES) });
}

/** Visits the pixels of an image: for each tensor the first of the group's channels. */
function eachPixel(k: KernelBuilder, tensors: readonly Images[], n: Expr, channel: Expr, body: (at: readonly Expr[]) => void): void {
  const [{ height, width }] = tensors as [Images];
  const dense = tensors.every((images) => images.row === images.width * images.channels);
  const [lines, pixels] = dense ? [1, k.int("pixels", height * width)] : [k.int("rows", height), k.int("columns", width)];
  k.for("line", 0, lines, (line) => {
    const rows = tensors.map(({ image, row, first }, i) => k.let(`row${i}`, n.mul(image).add(line.mul(row)).add(channel).add(first)));
    k.for("p", 0, pixels, (p) => body(rows.map((row, i) => row.add(p.mul(tensors[i]!.channels)))));
  });
}

/** Sums over all pixels, image by image as the plain loops do it: `term` gives for a vector of channels what is added. */
function sumsOf(
  k: KernelBuilder,
  tensors: readonly Images[],
  { channel, vectors }: Group,
  terms: number,
  term: (at: readonly Expr[], v: number) => readonly Expr[],
): Expr[][] {
  const zero = constant(0, "f32x4");
  const variables = (name: string): ReturnType<KernelBuilder["variable"]>[][] =>
    vectors.map((v) => Array.from({ length: terms }, (_, i) => k.variable(`${name}${v}${i}`, zero)));
  const totals = variables("total");
  k.for("n", 0, k.int("images", tensors[0]!.batches), (n) => {
    const sums = variables("sum");
    eachPixel(k, tensors, n, channel, (at) => {
      for (const v of vectors) term(at, v).forEach((value, i) => sums[v]![i]!.set(add(sums[v]![i]!.get(), value)));
    });
    for (const v of vectors) totals[v]!.forEach((total, i) => total.set(add(total.get(), sums[v]![i]!.get())));
  });
  return totals.map((row, v) => row.map((total, i) => k.let(`all${v}${i}`, total.get())));
}

function trainingKernel(k: KernelBuilder, node: Node, layouts: NodeLayouts): KernelInstance {
  const { epsilon } = attributesOf<BatchNormAttributes>(node);
  const [from, to] = [imagesOf(inputOf(node, 0).shape, layouts.inputs[0]!), imagesOf(outputOf(node).shape, layouts.outputs[0]!)];
  const [x, scale, offset] = [k.input(0, "x"), k.input(1, "scale"), k.input(2, "offset")];
  const [y, mean, variance] = [k.output(0, "y"), k.output(1, "mean"), k.output(2, "variance")];
  const count = from.batches * from.height * from.width;
  eachGroup(k, from.channels, (group) => {
    const { channel, vectors } = group;
    const counts = k.let("counts", everywhere(k, "count", count));
    const sums = sumsOf(k, [from], group, 1, ([at], v) => [load(x, at!.add(v * LANES))]);
    const means = vectors.map((v) => k.let(`mean${v}`, div(sums[v]![0]!, counts)));
    const squares = sumsOf(k, [from], group, 1, ([at], v) => {
      const d = k.let(`d${v}`, sub(load(x, at!.add(v * LANES)), means[v]!));
      return [mul(d, d)];
    });
    const factors = vectors.map((v) => {
      const spread = k.let(`spread${v}`, div(squares[v]![0]!, counts));
      store(k, mean, channel.add(v * LANES), means[v]!);
      store(k, variance, channel.add(v * LANES), spread);
      return k.let(`factor${v}`, div(load(scale, channel.add(v * LANES)), sqrt(add(spread, everywhere(k, "epsilon", epsilon)))));
    });
    const shifts = vectors.map((v) => k.let(`shift${v}`, sub(load(offset, channel.add(v * LANES)), mul(means[v]!, factors[v]!))));
    k.for("image", 0, k.int("images", from.batches), (n) =>
      eachPixel(k, [from, to], n, channel, ([at, put]) => {
        for (const v of vectors) {
          const value = add(mul(load(x, at!.add(v * LANES)), factors[v]!), shifts[v]!);
          store(k, y, put!.add(v * LANES), clampFloats(k, node, value));
        }
      }),
    );
  });
  clearBorder(k, y, layouts.outputs[0]!, to);
  return k.finish("batch_norm_training_f32_simd", "Batch normalization by the batch's own statistics, a cache line of channels at a time.");
}

const HIGHEST = { none: Infinity, relu: Infinity, relu6: 6, reluN1To1: 1, tanh: Infinity } as const;

interface Normalized {
  readonly x: Expr;
  readonly factor: Expr;
  readonly shift: Expr;
}

/** The gradient before the activation: dy where the result, computed again as it was, is inside its bounds, else 0. */
function before(k: KernelBuilder, activation: BatchNormAttributes["activation"], dy: Expr, { x, factor, shift }: Normalized): Expr {
  const result = k.let("result", add(mul(x, factor), shift));
  const bits = (value: Expr): Expr => vector("i32x4.of_f32x4", [value]);
  const above = vector("f32x4.gt", [result, everywhere(k, "lowest", activation === "reluN1To1" ? -1 : 0)]);
  const high = HIGHEST[activation];
  const open = high === Infinity ? above : vector("i32x4.and", [above, vector("f32x4.lt", [result, everywhere(k, "highest", high)])]);
  return vector("f32x4.of_i32x4", [vector("i32x4.and", [bits(dy), open])]);
}

function gradientKernel(k: KernelBuilder, node: Node, layouts: NodeLayouts): KernelInstance {
  const { epsilon, activation } = attributesOf<BatchNormAttributes>(node);
  const images = (i: number): Images => imagesOf(inputOf(node, i).shape, layouts.inputs[i]!);
  const to = imagesOf(outputOf(node).shape, layouts.outputs[0]!);
  const x = k.input(0, "x");
  const offset = activation === "none" ? null : k.input(1, "offset");
  const [dy, scale, mean, variance] = [k.input(2, "dy"), k.input(3, "scale"), k.input(4, "mean"), k.input(5, "variance")];
  const [dx, dScale, dOffset] = [k.output(0, "dx"), k.output(1, "dscale"), k.output(2, "doffset")];
  const tensors = [images(0), images(2)];
  const count = to.batches * to.height * to.width;
  eachGroup(k, to.channels, (group) => {
    const { channel, vectors } = group;
    const of = (buffer: Buffer, v: number): Expr => load(buffer, channel.add(v * LANES));
    const means = vectors.map((v) => k.let(`mean${v}`, of(mean, v)));
    const deviations = vectors.map((v) => k.let(`deviation${v}`, sqrt(add(of(variance, v), everywhere(k, "epsilon", epsilon)))));
    const forward = vectors.map((v) => {
      if (offset === null) return null;
      const factor = k.let(`factor${v}`, div(of(scale, v), deviations[v]!));
      return { factor, shift: k.let(`shift${v}`, sub(of(offset, v), mul(means[v]!, factor))) };
    });
    const pixelAt = (at: readonly Expr[], v: number): { x: Expr; gradient: Expr } => {
      const [value, after] = [k.let(`x${v}`, load(x, at[0]!.add(v * LANES))), load(dy, at[1]!.add(v * LANES))];
      const line = forward[v]!;
      return { x: value, gradient: line === null ? after : before(k, activation, after, { x: value, ...line }) };
    };
    const sums = sumsOf(k, tensors, group, 2, (at, v) => {
      const pixel = pixelAt(at, v);
      const gradient = k.let(`gradient${v}`, pixel.gradient);
      return [gradient, mul(gradient, sub(pixel.x, means[v]!))];
    });
    const counts = k.let("counts", everywhere(k, "count", count));
    const zero = k.let("zero", constant(0, "f32x4"));
    const lines = vectors.map((v) => {
      const inverse = k.let(`inverse${v}`, div(everywhere(k, "one", 1), deviations[v]!));
      const [sum, products] = sums[v] as [Expr, Expr];
      store(k, dOffset, channel.add(v * LANES), sum);
      const slope = k.let(`slope${v}`, mul(products, inverse));
      store(k, dScale, channel.add(v * LANES), slope);
      const a = k.let(`a${v}`, mul(of(scale, v), inverse));
      const b = k.let(`b${v}`, sub(zero, div(mul(mul(a, slope), inverse), counts)));
      return { a, b, rest: k.let(`rest${v}`, sub(sub(zero, div(mul(a, sum), counts)), mul(b, means[v]!))) };
    });
    k.for("image", 0, k.int("images", to.batches), (n) =>
      eachPixel(k, [...tensors, to], n, channel, (at) => {
        for (const v of vectors) {
          const { a, b, rest } = lines[v]!;
          const pixel = pixelAt(at, v);
          const value = add(mul(a, pixel.gradient), add(mul(b, pixel.x), rest));
          store(k, dx, at[at.length - 1]!.add(v * LANES), value);
        }
      }),
    );
  });
  clearBorder(k, dx, layouts.outputs[0]!, to);
  return k.finish("batch_norm_gradient_f32_simd", "Gradients of a batch normalization, a cache line of channels at a time.");
}

const ANY = { border: NO_BORDER, tail: 0 };

function suits(node: Node, inputs: readonly number[]): boolean {
  const { activation } = attributesOf<BatchNormAttributes>(node);
  return isFloatStep(node, inputs) && activation !== "tanh" && inputOf(node, 0).shape.at(-1)! % LANES === 0 && inputOf(node, 0).shape.length === 4;
}

export const batchNormTrainingSchedule: Schedule = (node) => {
  if (!suits(node, [0])) return undefined;
  const kernel: Kernel = (k, layouts) => trainingKernel(k, node, layouts);
  return Object.assign(kernel, { reads: [ANY], writesAny: true });
};

export const batchNormGradientSchedule: Schedule = (node) => {
  if (!suits(node, [0, 2])) return undefined;
  const kernel: Kernel = (k, layouts) => gradientKernel(k, node, layouts);
  return Object.assign(kernel, { reads: [ANY, undefined, ANY], writesAny: true });
};
