import { elementCount } from "../../../base/index.ts";
import type { Node } from "../../../graph/index.ts";
import { type Buffer, f32, type Images, imagesOf, type KernelBuilder, type KernelInstance } from "../../../loops/index.ts";
import {
  attributesOf,
  inputOf,
  type InputGradientAttributes,
  type Kernel,
  type NodeLayouts,
  outputOf,
  type Schedule,
  type WindowAttributes,
} from "../../../ops/index.ts";
import { clearBorder } from "../border.ts";
import { clampFloats } from "../layer.ts";
import { type GradientPhase, phasesOf, phaseBorder } from "./phases.ts";
import { blockVectors, eachBlock, emitProduct, type Finish, type PackedWeights, packedLength, type WindowProduct } from "./product.ts";
import { add, isFloatStep, LANES, load, store } from "./vectors.ts";

/** Fewer channels do not fill a vector. */
const LEAST_CHANNELS = LANES;

/** Weights [channel, depth] into blocks of channels, so that neighbours in a vector are neighbouring channels. */
function packRows(k: KernelBuilder, weights: Buffer, channels: number, depth: number): PackedWeights {
  const packed = { buffer: k.scratch("packed", "f32", packedLength(channels, depth)), start: 0, vectors: blockVectors(channels) };
  const width = LANES * packed.vectors;
  const size = k.int("pack_depth", depth);
  eachBlock(k, "pack_", channels, (block, channel) =>
    k.for("c", 0, width, (c) => {
      const from = k.let("from", channel.add(c).mul(size));
      const to = k.let("to", block.mul(size).add(c));
      k.for("d", 0, size, (d) => packed.buffer.store(to.add(d.mul(width)), weights.load(from.add(d))));
    }),
  );
  k.meet();
  return packed;
}

function biasAndActivation(k: KernelBuilder, node: Node, vectors: number): Finish {
  const bias = node.inputs[2] ? k.input(2, "bias") : null;
  return (channel) => {
    const loaded = Array.from({ length: vectors }, (_, v) => (bias === null ? null : k.let(`bias${v}`, load(bias, channel.add(v * LANES)))));
    return (sums) => sums.map((sum, v) => clampFloats(k, node, loaded[v] === null ? sum : add(sum, loaded[v]!)));
  };
}

/** Whether windows are single pixels one after another, in and out. */
function isFlat(a: WindowAttributes, w: readonly number[], from: Images, to: Images): boolean {
  const dense = (images: Images): boolean => images.row === images.width * images.channels && images.image === images.height * images.row;
  const pads = a.padTop + a.padBottom + a.padLeft + a.padRight;
  return w[1] === 1 && w[2] === 1 && a.strideH === 1 && a.strideW === 1 && pads === 0 && dense(from) && dense(to);
}

function forwardProduct(a: WindowAttributes, w: readonly number[], from: Images, to: Images, input: Buffer, output: Buffer): WindowProduct {
  const [, filterH, filterW, inC] = w as [number, number, number, number];
  const flat = isFlat(a, w, from, to);
  const [images, rows, columns] = flat ? [1, 1, to.batches * to.height * to.width] : [to.batches, to.height, to.width];
  return {
    images,
    rows,
    columns,
    channels: to.channels,
    input: {
      buffer: input,
      first: from.first - a.padTop * from.row - a.padLeft * inC,
      image: from.image,
      row: a.strideH * from.row,
      column: a.strideW * inC,
    },
    runs: { count: filterH, step: from.row, length: filterW * inC },
    output: { buffer: output, first: to.first, image: to.image, row: to.row, column: to.channels },
    name: "",
  };
}

function convKernel(k: KernelBuilder, node: Node, layouts: NodeLayouts): KernelInstance {
  const [x, w, y] = [inputOf(node, 0), inputOf(node, 1), outputOf(node)];
  const [from, to] = [imagesOf(x.shape, layouts.inputs[0]!), imagesOf(y.shape, layouts.outputs[0]!)];
  const [input, weights, output] = [k.input(0, "x"), k.input(1, "w"), k.output(0, "y")];
  const depth = elementCount(w.shape.slice(1));
  const packed = packRows(k, weights, to.channels, depth);
  const product = forwardProduct(attributesOf<WindowAttributes>(node), w.shape, from, to, input, output);
  emitProduct(k, product, packed, biasAndActivation(k, node, packed.vectors));
  clearBorder(k, output, layouts.outputs[0]!, to);
  return k.finish("conv2d_f32_packing_simd", "2-D convolution in register tiles; the weights are packed first.", { sharesScratch: true });
}

/** Float convolutions whose weights change from run to run. */
export const packingConvSchedule: Schedule = (node) => {
  const [x, w] = [inputOf(node, 0), inputOf(node, 1)];
  const a = attributesOf<WindowAttributes>(node);
  const dilated = (a.dilationH ?? 1) !== 1 || (a.dilationW ?? 1) !== 1;
  if (!isFloatStep(node, [0]) || w.data !== undefined || w.shape[3] !== x.shape[3] || dilated || w.shape[0]! < LEAST_CHANNELS) return undefined;
  if (a.activation === "tanh") return undefined;
  const border = { top: a.padTop, bottom: a.padBottom, left: a.padLeft, right: a.padRight };
  return Object.assign((k: KernelBuilder, layouts: NodeLayouts) => convKernel(k, node, layouts), {
    reads: [{ border, tail: 0 }],
    writesAny: true as const,
  });
};

function denseKernel(k: KernelBuilder, node: Node): KernelInstance {
  const [channels, depth] = inputOf(node, 1).shape as [number, number];
  const rows = elementCount(outputOf(node).shape) / channels;
  const [input, weights, output] = [k.input(0, "x"), k.input(1, "w"), k.output(0, "y")];
  const packed = packRows(k, weights, channels, depth);
  const product: WindowProduct = {
    images: 1,
    rows: 1,
    columns: rows,
    channels,
    input: { buffer: input, first: 0, image: 0, row: 0, column: depth },
    runs: { count: 1, step: 0, length: depth },
    output: { buffer: output, first: 0, image: 0, row: 0, column: channels },
    name: "",
  };
  emitProduct(k, product, packed, biasAndActivation(k, node, packed.vectors));
  return k.finish("fully_connected_f32_packing_simd", "Fully connected layer in register tiles; the weights are packed first.", {
    sharesScratch: true,
  });
}

/** Fully connected layers of floats whose weights change from run to run. */
export const packingDenseSchedule: Schedule = (node) => {
  const w = inputOf(node, 1);
  if (!isFloatStep(node, [0]) || w.data !== undefined || w.shape[0]! < LEAST_CHANNELS) return undefined;
  if (attributesOf<WindowAttributes>(node).activation === "tanh") return undefined;
  return (k) => denseKernel(k, node);
};

/** Weights [oc, kh, kw, ic] in the order in which a phase reads them: block of input channels, tap, output channel, input channel. */
function packPhase(k: KernelBuilder, weights: Buffer, packed: PackedWeights, shape: readonly number[], phase: GradientPhase): void {
  const [outC, filterH, filterW, inC] = shape as [number, number, number, number];
  const width = LANES * packed.vectors;
  const taps = phase.rows.taps.flatMap((ky) => phase.columns.taps.map((kx) => ky * filterW + kx));
  const depth = taps.length * outC;
  eachBlock(k, `${phase.name}pack_`, inC, (block, channel) => {
    const to = k.let("to", block.mul(depth).add(packed.start));
    taps.forEach((tap, t) =>
      k.for("oc", 0, k.int("pack_out_c", outC), (oc) => {
        const from = k.let(
          "from",
          oc
            .mul(filterH * filterW * inC)
            .add(channel)
            .add(tap * inC),
        );
        const at = k.let("at", to.add(oc.mul(width)).add(t * outC * width));
        for (let v = 0; v < packed.vectors; v++) store(k, packed.buffer, at.add(v * LANES), load(weights, from.add(v * LANES)));
      }),
    );
  });
}

function phaseProduct(phase: GradientPhase, from: Images, to: Images, dy: Buffer, dx: Buffer, a: WindowAttributes, flat: boolean): WindowProduct {
  const [images, rows, columns] = flat ? [1, 1, to.batches * to.height * to.width] : [to.batches, phase.rows.count, phase.columns.count];
  return {
    images,
    rows,
    columns,
    channels: to.channels,
    input: {
      buffer: dy,
      first: from.first + phase.rows.start * from.row + phase.columns.start * from.channels,
      image: from.image,
      row: from.row,
      column: from.channels,
    },
    runs: { count: phase.rows.taps.length, step: from.row, length: phase.columns.taps.length * from.channels },
    output: {
      buffer: dx,
      first: to.first + phase.rows.offset * to.row + phase.columns.offset * to.channels,
      image: to.image,
      row: a.strideH * to.row,
      column: a.strideW * to.channels,
    },
    name: phase.name,
  };
}

const asTheyAre: Finish = () => (sums) => [...sums];

/** Positions that no window reaches. */
function clearPhase(k: KernelBuilder, phase: GradientPhase, to: Images, dx: Buffer, a: WindowAttributes): void {
  const first = to.first + phase.rows.offset * to.row + phase.columns.offset * to.channels;
  k.for("n", 0, to.batches, (n) =>
    k.for("y", 0, phase.rows.count, (y) =>
      k.for("x", 0, phase.columns.count, (x) => {
        const at = k.let(
          "at",
          n
            .mul(to.image)
            .add(y.mul(a.strideH * to.row))
            .add(x.mul(a.strideW * to.channels))
            .add(first),
        );
        k.for("c", 0, to.channels, (c) => dx.store(at.add(c), f32(0)));
      }),
    ),
  );
}

function inputGradientKernel(k: KernelBuilder, node: Node, layouts: NodeLayouts): KernelInstance {
  const a = attributesOf<InputGradientAttributes>(node);
  const [dy, w, dx] = [inputOf(node, 0), inputOf(node, 1), outputOf(node)];
  const [from, to] = [imagesOf(dy.shape, layouts.inputs[0]!), imagesOf(dx.shape, layouts.outputs[0]!)];
  const [gradient, weights, output] = [k.input(0, "dy"), k.input(1, "w"), k.output(0, "dx")];
  const phases = phasesOf(a, dx.shape, w.shape);
  const starts = [0];
  for (const { rows, columns } of phases)
    starts.push(starts.at(-1)! + packedLength(to.channels, rows.taps.length * columns.taps.length * from.channels));
  const buffer = k.scratch("packed", "f32", Math.max(LANES, ...starts));
  const packed = phases.map((_, i): PackedWeights => ({ buffer, start: starts[i]!, vectors: blockVectors(to.channels) }));
  const reached = phases.map((phase) => phase.rows.taps.length * phase.columns.taps.length > 0);
  phases.forEach((phase, i) => reached[i] && packPhase(k, weights, packed[i]!, w.shape, phase));
  if (reached.includes(true)) k.meet();
  phases.forEach((phase, i) => {
    if (!reached[i]) clearPhase(k, phase, to, output, a);
    else emitProduct(k, phaseProduct(phase, from, to, gradient, output, a, isFlat(a, w.shape, from, to)), packed[i]!, asTheyAre);
  });
  clearBorder(k, output, layouts.outputs[0]!, to);
  return k.finish(
    "conv2d_input_gradient_f32_simd",
    "Gradient of a convolution with respect to its input: a convolution of the gradient for each phase of the stride.",
    { sharesScratch: true },
  );
}

/** Gradients of convolutions without groups and dilation. */
export const inputGradientSchedule: Schedule = (node) => {
  const a = attributesOf<InputGradientAttributes>(node);
  const [w, dx] = [inputOf(node, 1), outputOf(node)];
  const dilated = (a.dilationH ?? 1) !== 1 || (a.dilationW ?? 1) !== 1;
  if (!isFloatStep(node, [0]) || dilated || w.shape[3] !== dx.shape[3] || dx.shape[3]! < LEAST_CHANNELS) return undefined;
  const border = phaseBorder(phasesOf(a, dx.shape, w.shape), inputOf(node, 0).shape);
  const kernel: Kernel = (k, layouts) => inputGradientKernel(k, node, layouts);
  return Object.assign(kernel, { reads: [{ border, tail: 0 }], writesAny: true });
};
