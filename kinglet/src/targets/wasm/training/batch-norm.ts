import type { Node } from "../../../graph/index.ts";
import { type Buffer, constant, type Expr, type Images, imagesOf, type KernelBuilder, type KernelInstance, NO_BORDER } from "../../../loops/index.ts";
import { attributesOf, type BatchNormAttributes, inputOf, type Kernel, type NodeLayouts, outputOf, type Schedule } from "../../../ops/index.ts";
import { clearBorder } from "../border.ts";
import { clampFloats } from "../layer.ts";
import { add, type Bounded, div, everywhere, isBounded, isFloatStep, LANES, load, mul, sqrt, store, sub, whereOpen } from "./vectors.ts";

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

/** Sums over the pixels of each image, [image][term][channel]: threads share the images, and add them up in their order. */
class ImageSums {
  private readonly k: KernelBuilder;
  private readonly images: number;
  private readonly channels: number;
  private readonly terms: number;
  private readonly buffer: Buffer;

  constructor(k: KernelBuilder, { batches, channels }: Images, terms: number) {
    [this.k, this.images, this.channels, this.terms] = [k, batches, channels, terms];
    this.buffer = k.scratch("sums", "f32", batches * terms * channels);
  }

  private place(n: Expr, i: number, channel: Expr): Expr {
    return n
      .mul(this.terms * this.channels)
      .add(i * this.channels)
      .add(channel);
  }

  /** `term` gives for a vector of channels of a pixel what is added; `prepare` loads before what a group needs. */
  fill<T>(tensors: readonly Images[], prepare: (group: Group) => T, term: (at: readonly Expr[], v: number, prepared: T) => readonly Expr[]): void {
    const { k } = this;
    k.parallelFor("n", 0, k.int("images", this.images), (n) =>
      eachGroup(k, this.channels, (group) => {
        const prepared = prepare(group);
        const sums = group.vectors.map((v) => Array.from({ length: this.terms }, (_, i) => k.variable(`sum${v}${i}`, constant(0, "f32x4"))));
        eachPixel(k, tensors, n, group.channel, (at) => {
          for (const v of group.vectors) term(at, v, prepared).forEach((value, i) => sums[v]![i]!.set(add(sums[v]![i]!.get(), value)));
        });
        sums.forEach((row, v) => row.forEach((sum, i) => store(k, this.buffer, this.place(n, i, group.channel.add(v * LANES)), sum.get())));
      }),
    );
    k.meet();
  }

  /** The sums of all images, image by image as the plain loops do it; threads share the channels. */
  eachTotal(body: (totals: readonly Expr[], channel: Expr) => void): void {
    const { k } = this;
    const finish = (channel: Expr): void => {
      const totals = Array.from({ length: this.terms }, (_, i) => k.variable(`total${i}`, constant(0, "f32x4")));
      k.for("n", 0, k.int("images", this.images), (n) =>
        totals.forEach((total, i) => total.set(add(total.get(), load(this.buffer, this.place(n, i, channel))))),
      );
      body(
        totals.map((total, i) => k.let(`all${i}`, total.get())),
        channel,
      );
    };
    k.parallelFor("channel", 0, k.int("all_channels", this.channels), finish, LANES);
    k.meet();
  }
}

/** Numbers of each channel that a kernel keeps from one pass to the next. */
function channelLines(k: KernelBuilder, channels: number, names: readonly string[]): Buffer[] {
  return names.map((name) => k.scratch(name, "f32", channels));
}

/** Loads what a group's vectors of channels have in each of some buffers. */
function loadGroup(k: KernelBuilder, buffers: readonly Buffer[], { channel, vectors }: Group): Expr[][] {
  return vectors.map((v) => buffers.map((buffer) => k.let(`${buffer.name}${v}`, load(buffer, channel.add(v * LANES)))));
}

function trainingKernel(k: KernelBuilder, node: Node, layouts: NodeLayouts): KernelInstance {
  const { epsilon } = attributesOf<BatchNormAttributes>(node);
  const [from, to] = [imagesOf(inputOf(node, 0).shape, layouts.inputs[0]!), imagesOf(outputOf(node).shape, layouts.outputs[0]!)];
  const [x, scale, offset] = [k.input(0, "x"), k.input(1, "scale"), k.input(2, "offset")];
  const [y, mean, variance] = [k.output(0, "y"), k.output(1, "mean"), k.output(2, "variance")];
  const lines = channelLines(k, from.channels, ["factor", "shift"]) as [Buffer, Buffer];
  const counts = k.let("counts", everywhere(k, "count", from.batches * from.height * from.width));
  const sums = new ImageSums(k, from, 1);
  sums.fill(
    [from],
    () => null,
    ([at], v) => [load(x, at!.add(v * LANES))],
  );
  sums.eachTotal(([sum], c) => store(k, mean, c, div(sum!, counts)));
  const squareOf = ([at]: readonly Expr[], v: number, means: readonly Expr[][]): Expr[] => {
    const d = k.let(`d${v}`, sub(load(x, at!.add(v * LANES)), means[v]![0]!));
    return [mul(d, d)];
  };
  sums.fill([from], (group) => loadGroup(k, [mean], group), squareOf);
  sums.eachTotal(([squares], c) => {
    const spread = k.let("spread", div(squares!, counts));
    store(k, variance, c, spread);
    const factor = k.let("factor_now", div(load(scale, c), sqrt(add(spread, everywhere(k, "epsilon", epsilon)))));
    store(k, lines[0], c, factor);
    store(k, lines[1], c, sub(load(offset, c), mul(load(mean, c), factor)));
  });
  k.parallelFor("image", 0, k.int("images", from.batches), (n) =>
    eachGroup(k, from.channels, (group) => {
      const loaded = loadGroup(k, lines, group) as [Expr, Expr][];
      eachPixel(k, [from, to], n, group.channel, ([at, put]) =>
        loaded.forEach(([factor, shift], v) => {
          const value = add(mul(load(x, at!.add(v * LANES)), factor), shift);
          store(k, y, put!.add(v * LANES), clampFloats(k, node, value));
        }),
      );
    }),
  );
  clearBorder(k, y, layouts.outputs[0]!, to);
  const doc = "Batch normalization by the batch's own statistics, a cache line of channels at a time.";
  return k.finish("batch_norm_training_f32_simd", doc, { sharesScratch: true });
}

interface Normalized {
  readonly x: Expr;
  readonly factor: Expr;
  readonly shift: Expr;
}

/** The gradient before the activation: dy where the result, computed again as it was, is inside its bounds, else 0. */
function before(k: KernelBuilder, activation: Bounded, dy: Expr, { x, factor, shift }: Normalized): Expr {
  const result = k.let("result", add(mul(x, factor), shift));
  return whereOpen(k, activation, dy, result);
}

/** The line that the forward pass took of each channel, by the same steps. */
function forwardLines(
  k: KernelBuilder,
  channels: number,
  [factors, shifts]: readonly Buffer[],
  { scale, offset, mean }: { readonly scale: Buffer; readonly offset: Buffer; readonly mean: Buffer },
  deviationOf: (c: Expr) => Expr,
): void {
  const one = (c: Expr): void => {
    const factor = k.let("factor_now", div(load(scale, c), deviationOf(c)));
    store(k, factors!, c, factor);
    store(k, shifts!, c, sub(load(offset, c), mul(load(mean, c), factor)));
  };
  k.parallelFor("forward", 0, k.int("all_channels", channels), one, LANES);
  k.meet();
}

function gradientKernel(k: KernelBuilder, node: Node, layouts: NodeLayouts): KernelInstance {
  const { epsilon, activation } = attributesOf<BatchNormAttributes>(node);
  const bounded = isBounded(activation) ? activation : null;
  const images = (i: number): Images => imagesOf(inputOf(node, i).shape, layouts.inputs[i]!);
  const to = imagesOf(outputOf(node).shape, layouts.outputs[0]!);
  const x = k.input(0, "x");
  const offset = bounded === null ? null : k.input(1, "offset");
  const [dy, scale, mean, variance] = [k.input(2, "dy"), k.input(3, "scale"), k.input(4, "mean"), k.input(5, "variance")];
  const [dx, dScale, dOffset] = [k.output(0, "dx"), k.output(1, "dscale"), k.output(2, "doffset")];
  const tensors = [images(0), images(2)];
  const lines = channelLines(k, to.channels, ["a", "b", "rest"]) as [Buffer, Buffer, Buffer];
  const forward = offset === null ? [] : channelLines(k, to.channels, ["factor", "shift"]);
  const counts = k.let("counts", everywhere(k, "count", to.batches * to.height * to.width));
  const zero = k.let("zero", constant(0, "f32x4"));
  const deviationOf = (c: Expr): Expr => k.let("deviation", sqrt(add(load(variance, c), everywhere(k, "epsilon", epsilon))));
  if (offset !== null) forwardLines(k, to.channels, forward, { scale, offset, mean }, deviationOf);
  const pixelAt = (at: readonly Expr[], v: number, line: readonly Expr[]): { x: Expr; gradient: Expr } => {
    const [value, after] = [k.let(`x${v}`, load(x, at[0]!.add(v * LANES))), load(dy, at[1]!.add(v * LANES))];
    const [factor, shift] = line;
    return { x: value, gradient: bounded === null ? after : before(k, bounded, after, { x: value, factor: factor!, shift: shift! }) };
  };
  const sums = new ImageSums(k, to, 2);
  const termsOf = (at: readonly Expr[], v: number, loaded: readonly Expr[][]): Expr[] => {
    const [average, ...line] = loaded[v] as [Expr, ...Expr[]];
    const pixel = pixelAt(at, v, line);
    const gradient = k.let(`gradient${v}`, pixel.gradient);
    return [gradient, mul(gradient, sub(pixel.x, average))];
  };
  sums.fill(tensors, (group) => loadGroup(k, [mean, ...forward], group), termsOf);
  sums.eachTotal(([sum, products], c) => {
    const inverse = k.let("inverse", div(everywhere(k, "one", 1), deviationOf(c)));
    store(k, dOffset, c, sum!);
    const slope = k.let("slope", mul(products!, inverse));
    store(k, dScale, c, slope);
    const a = k.let("a_now", mul(load(scale, c), inverse));
    const b = k.let("b_now", sub(zero, div(mul(mul(a, slope), inverse), counts)));
    store(k, lines[0], c, a);
    store(k, lines[1], c, b);
    store(k, lines[2], c, sub(sub(zero, div(mul(a, sum!), counts)), mul(b, load(mean, c))));
  });
  k.parallelFor("image", 0, k.int("images", to.batches), (n) =>
    eachGroup(k, to.channels, (group) => {
      const loaded = loadGroup(k, [...lines, ...forward], group) as [Expr, Expr, Expr, ...Expr[]][];
      eachPixel(k, [...tensors, to], n, group.channel, (at) =>
        loaded.forEach(([a, b, rest, ...line], v) => {
          const pixel = pixelAt(at, v, line);
          const value = add(mul(a, pixel.gradient), add(mul(b, pixel.x), rest));
          store(k, dx, at[at.length - 1]!.add(v * LANES), value);
        }),
      );
    }),
  );
  clearBorder(k, dx, layouts.outputs[0]!, to);
  const doc = "Gradients of a batch normalization, a cache line of channels at a time.";
  return k.finish("batch_norm_gradient_f32_simd", doc, { sharesScratch: true });
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
