import type { Node } from "../../../graph/index.ts";
import {
  type Buffer,
  constant,
  type Expr,
  i32,
  type Images,
  imagesOf,
  type KernelBuilder,
  type KernelInstance,
  NO_BORDER,
} from "../../../loops/index.ts";
import {
  attributesOf,
  type DepthwiseAttributes,
  type FilterGradientAttributes,
  inputOf,
  type InputGradientAttributes,
  type Kernel,
  type NodeLayouts,
  outputOf,
  type Schedule,
} from "../../../ops/index.ts";
import { clearBorder } from "../border.ts";
import { clampFloats } from "../layer.ts";
import { phaseBorder, phasesOf } from "./phases.ts";
import { add, isFloatStep, LANES, load, type LoopWriter, multiplyAdd, nestedLoops, store } from "./vectors.ts";

/** Weights that stay in registers while a row passes. */
const KEPT = 9;

/** One tap of a channel's filter: where it reads, from the window's first element, and which weight it takes. */
interface Tap {
  readonly offset: number;
  readonly weight: number;
}

/** A depthwise product over `rows` · `columns` positions; all distances count in floats. */
interface DepthwiseProduct {
  readonly images: Images;
  readonly rows: number;
  readonly columns: number;
  readonly taps: readonly Tap[];
  readonly input: { readonly buffer: Buffer; readonly first: number; readonly image: number; readonly row: number; readonly column: number };
  readonly output: { readonly buffer: Buffer; readonly first: number; readonly image: number; readonly row: number; readonly column: number };
  readonly name: string;
}

/** Visits vectors of channels; the last one ends with the last channel. `block` is where it would begin without that. */
function eachVector(k: KernelBuilder, channels: number, body: (c: Expr, block: Expr) => void): void {
  const total = k.int("channels", channels);
  k.parallelFor("block", 0, total, (block) => body(channels % LANES === 0 ? block : k.let("c", block.min(total.sub(LANES))), block), LANES);
}

function emitDepthwise(k: KernelBuilder, p: DepthwiseProduct, weights: Buffer, finish: (c: Expr) => (sum: Expr) => Expr): void {
  const { input, output } = p;
  const { channels, batches } = p.images;
  const [eachImage, eachRow] = nestedLoops(k, batches, p.rows) as [LoopWriter, LoopWriter];
  eachImage("n", i32(batches), (n) =>
    eachRow("y", k.int(`${p.name}rows`, p.rows), (y) => {
      const line = k.let(
        "line",
        n
          .mul(input.image)
          .add(y.mul(input.row))
          .add(k.int(`${p.name}in_first`, input.first)),
      );
      const row = k.let(
        "row",
        n
          .mul(output.image)
          .add(y.mul(output.row))
          .add(k.int(`${p.name}out_first`, output.first)),
      );
      eachVector(k, channels, (c) => {
        const weight = (tap: Tap): Expr => load(weights, c.add(tap.weight * channels));
        const kept = p.taps.length <= KEPT ? p.taps.map((tap, t) => k.let(`w${t}`, weight(tap))) : null;
        const done = finish(c);
        k.for("x", 0, k.int(`${p.name}columns`, p.columns), (x) => {
          const window = k.let("window", line.add(c).add(x.mul(input.column)));
          const sum = k.variable("sum", constant(0, "f32x4"));
          p.taps.forEach((tap, t) => sum.set(multiplyAdd(load(input.buffer, window.add(tap.offset)), kept?.[t] ?? weight(tap), sum.get())));
          store(k, output.buffer, row.add(c).add(x.mul(output.column)), done(sum.get()));
        });
      });
    }),
  );
}

function forwardKernel(k: KernelBuilder, node: Node, layouts: NodeLayouts): KernelInstance {
  const a = attributesOf<DepthwiseAttributes>(node);
  const [, filterH, filterW, channels] = inputOf(node, 1).shape as [number, number, number, number];
  const [from, to] = [imagesOf(inputOf(node, 0).shape, layouts.inputs[0]!), imagesOf(outputOf(node).shape, layouts.outputs[0]!)];
  const [input, weights, output] = [k.input(0, "x"), k.input(1, "w"), k.output(0, "y")];
  const bias = node.inputs[2] ? k.input(2, "bias") : null;
  const taps = Array.from({ length: filterH * filterW }, (_, t) => ({
    offset: Math.floor(t / filterW) * from.row + (t % filterW) * channels,
    weight: t,
  }));
  const first = from.first - a.padTop * from.row - a.padLeft * channels;
  const product: DepthwiseProduct = {
    images: to,
    rows: to.height,
    columns: to.width,
    taps,
    input: { buffer: input, first, image: from.image, row: a.strideH * from.row, column: a.strideW * channels },
    output: { buffer: output, first: to.first, image: to.image, row: to.row, column: channels },
    name: "",
  };
  emitDepthwise(k, product, weights, (c) => {
    const loaded = bias === null ? null : k.let("bias", load(bias, c));
    return (sum) => clampFloats(k, node, loaded === null ? sum : add(sum, loaded));
  });
  clearBorder(k, output, layouts.outputs[0]!, to);
  return k.finish("depthwise_conv2d_f32_variable_simd", "Depthwise 2-D convolution with weights that change, a vector of channels at a time.");
}

function inputGradientKernel(k: KernelBuilder, node: Node, layouts: NodeLayouts): KernelInstance {
  const a = attributesOf<InputGradientAttributes>(node);
  const [dy, w, dx] = [inputOf(node, 0), inputOf(node, 1), outputOf(node)];
  const [from, to] = [imagesOf(dy.shape, layouts.inputs[0]!), imagesOf(dx.shape, layouts.outputs[0]!)];
  const [gradient, weights, output] = [k.input(0, "dy"), k.input(1, "w"), k.output(0, "dx")];
  const channels = to.channels;
  for (const phase of phasesOf(a, dx.shape, w.shape)) {
    const taps = phase.rows.taps.flatMap((ky, y) =>
      phase.columns.taps.map((kx, x) => ({ offset: y * from.row + x * channels, weight: ky * w.shape[2]! + kx })),
    );
    const product: DepthwiseProduct = {
      images: to,
      rows: phase.rows.count,
      columns: phase.columns.count,
      taps,
      input: {
        buffer: gradient,
        first: from.first + phase.rows.start * from.row + phase.columns.start * channels,
        image: from.image,
        row: from.row,
        column: channels,
      },
      output: {
        buffer: output,
        first: to.first + phase.rows.offset * to.row + phase.columns.offset * channels,
        image: to.image,
        row: a.strideH * to.row,
        column: a.strideW * channels,
      },
      name: phase.name,
    };
    emitDepthwise(k, product, weights, () => (sum) => sum);
  }
  clearBorder(k, output, layouts.outputs[0]!, to);
  return k.finish(
    "depthwise_input_gradient_f32_simd",
    "Gradient of a depthwise convolution with respect to its input, a vector of channels at a time.",
  );
}

function filterGradientKernel(k: KernelBuilder, node: Node, layouts: NodeLayouts): KernelInstance {
  const a = attributesOf<FilterGradientAttributes>(node);
  const [from, to] = [imagesOf(inputOf(node, 0).shape, layouts.inputs[0]!), imagesOf(inputOf(node, 1).shape, layouts.inputs[1]!)];
  const [x, dy, dw] = [k.input(0, "x"), k.input(1, "dy"), k.output(0, "dw")];
  const { channels } = to;
  const taps = Array.from({ length: a.filterH * a.filterW }, (_, t) => t);
  const groups = a.filterH * a.filterW <= KEPT ? [taps] : Array.from({ length: a.filterH }, (_, y) => taps.slice(y * a.filterW, (y + 1) * a.filterW));
  const first = from.first - a.padTop * from.row - a.padLeft * channels;
  const offset = (t: number): number => Math.floor(t / a.filterW) * from.row + (t % a.filterW) * channels;
  const padded = Math.ceil(channels / LANES) * LANES;
  const waiting = k.scratch("sums", "f32", taps.length * padded);
  // Image by image, so that what one vector of channels read of it is still close when the next one comes.
  k.for("n", 0, to.batches, (n) => {
    for (const group of groups)
      eachVector(k, channels, (c, block) => {
        const sums = group.map((t) => k.variable(`sum${t}`, constant(0, "f32x4")));
        k.if(n.gt(0), () => group.forEach((t, s) => sums[s]!.set(load(waiting, block.add(t * padded)))));
        k.for("y", 0, k.int("rows", to.height), (y) => {
          const line = k.let(
            "line",
            n
              .mul(from.image)
              .add(y.mul(a.strideH * from.row))
              .add(c)
              .add(first),
          );
          const row = k.let("row", n.mul(to.image).add(y.mul(to.row)).add(c).add(to.first));
          k.for("i", 0, k.int("columns", to.width), (i) => {
            const gradient = k.let("gradient", load(dy, row.add(i.mul(channels))));
            const window = k.let("window", line.add(i.mul(a.strideW * channels)));
            group.forEach((t, s) => sums[s]!.set(multiplyAdd(load(x, window.add(offset(t))), gradient, sums[s]!.get())));
          });
        });
        group.forEach((t, s) => store(k, waiting, block.add(t * padded), sums[s]!.get()));
      });
  });
  eachVector(k, channels, (c, block) => taps.forEach((t) => store(k, dw, c.add(t * channels), load(waiting, block.add(t * padded)))));
  return k.finish(
    "depthwise_filter_gradient_f32_simd",
    "Gradient of a depthwise convolution with respect to its weights: all taps of a vector of channels over all pixels.",
    { sharesScratch: true },
  );
}

function plainFilters(node: Node, inputs: readonly number[], multiplier: boolean): boolean {
  const { dilationH = 1, dilationW = 1 } = attributesOf<DepthwiseAttributes>(node);
  return isFloatStep(node, inputs) && dilationH === 1 && dilationW === 1 && multiplier;
}

/** One output channel for each input channel, at least a vector of them; the weights change from run to run. */
export const variableDepthwiseSchedule: Schedule = (node) => {
  const a = attributesOf<DepthwiseAttributes>(node);
  const w = inputOf(node, 1);
  if (!plainFilters(node, [0], a.depthMultiplier === 1) || w.data !== undefined || w.shape[3]! < LANES || a.activation === "tanh") return undefined;
  const border = { top: a.padTop, bottom: a.padBottom, left: a.padLeft, right: a.padRight };
  const kernel: Kernel = (k, layouts) => forwardKernel(k, node, layouts);
  return Object.assign(kernel, { reads: [{ border, tail: 0 }], writesAny: true });
};

export const depthwiseInputGradientSchedule: Schedule = (node) => {
  const a = attributesOf<InputGradientAttributes>(node);
  const [dy, w, dx] = [inputOf(node, 0), inputOf(node, 1), outputOf(node)];
  if (!plainFilters(node, [0], dy.shape[3] === dx.shape[3]) || w.shape[3]! < LANES) return undefined;
  const kernel: Kernel = (k, layouts) => inputGradientKernel(k, node, layouts);
  return Object.assign(kernel, { reads: [{ border: phaseBorder(phasesOf(a, dx.shape, w.shape), dy.shape), tail: 0 }], writesAny: true });
};

export const depthwiseFilterGradientSchedule: Schedule = (node) => {
  const a = attributesOf<FilterGradientAttributes>(node);
  const [x, dy] = [inputOf(node, 0), inputOf(node, 1)];
  if (!plainFilters(node, [0, 1], x.shape[3] === dy.shape[3]) || dy.shape[3]! < LANES) return undefined;
  const border = { top: a.padTop, bottom: a.padBottom, left: a.padLeft, right: a.padRight };
  const kernel: Kernel = (k, layouts) => filterGradientKernel(k, node, layouts);
  return Object.assign(kernel, {
    reads: [
      { border, tail: 0 },
      { border: NO_BORDER, tail: 0 },
    ],
  });
};
