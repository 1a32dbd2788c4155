import type { Node, ValueType } from "../graph/index.ts";
import type { Buffer, Expr, KernelBuilder, KernelInstance } from "../loops/index.ts";
import { type Accumulator, accumulatorFor, finishAccumulator } from "./accumulate.ts";
import { hybridInput, isHybrid } from "./hybrid.ts";
import { attributesOf, inputOf, type OpDef, outputOf, refuse, suffixOf, typeAt } from "./op.ts";
import type { Activation } from "./quantization.ts";
import { eachInside, eachPixel, type WindowAttributes, windowPositions, windowSizes } from "./window.ts";

export interface DepthwiseAttributes extends WindowAttributes {
  readonly depthMultiplier: number;
}

function convShape(op: string, x: ValueType, w: ValueType, a: WindowAttributes, channels: number): number[] {
  const [n, h, width] = x.shape as [number, number, number, number];
  const oh = windowPositions(op, h, a.padTop, a.padBottom, w.shape[1]!, a.strideH, a.dilationH);
  const ow = windowPositions(op, width, a.padLeft, a.padRight, w.shape[2]!, a.strideW, a.dilationW);
  return [n, oh, ow, channels];
}

function checkBias(op: string, bias: ValueType | null | undefined, channels: number): void {
  if (bias && bias.shape.reduce((p, d) => p * d, 1) !== channels) refuse(op, `the bias must have ${channels} elements`);
}

/** acc += (x − zero point) · (w − zero point), or the plain product of floats. */
function multiplyAdd(acc: Accumulator, x: Expr, w: Expr): void {
  if (acc.type === "f32") {
    acc.variable.set(acc.variable.get().add(x.mul(w)));
    return;
  }
  const product = x.add(acc.inputOffset).mul(w.add(acc.weightOffset));
  acc.variable.set(acc.variable.get().add(product.to(acc.type)));
}

/** Where a layer's sums read their input from, and how they start. */
interface LayerInput {
  readonly load: (index: Expr) => Expr;
  readonly start: (channel: Expr) => Accumulator;
  readonly begin?: (n: Expr) => void;
}

/** A float image for int8 weights is quantized first, batch by batch; for weights with a scale per channel over its whole range. */
function layerInput(k: KernelBuilder, node: Node, input: Buffer, activation: Activation): LayerInput {
  const [x, w] = [inputOf(node, 0), inputOf(node, 1)];
  if (!isHybrid(node)) return { load: (index) => input.load(index), start: accumulatorFor(k, node, activation) };
  const batch = x.shape[1]! * x.shape[2]! * x.shape[3]!;
  const hybrid = hybridInput(k, node, input, batch, activation, (w.quantization?.scales.length ?? 1) > 1);
  return { load: hybrid.load, start: hybrid.start, begin: (n) => hybrid.begin(k.let("start", n.mul(k.int("row_length", batch)))) };
}

function kernelSuffix(node: Node): string {
  return isHybrid(node) ? "f32_s8" : suffixOf(inputOf(node, 0).dtype);
}

function conv2dLoops(k: KernelBuilder, node: Node): KernelInstance {
  const a = attributesOf<WindowAttributes>(node);
  const [x, w, y] = [inputOf(node, 0), inputOf(node, 1), outputOf(node)];
  const input = k.input(0, "x");
  const weights = k.input(1, "w");
  const { load, start, begin } = layerInput(k, node, input, a.activation);
  const output = k.output(0, "y");
  const sizes = windowSizes(k, x, y, w.shape[1]!, w.shape[2]!);
  const groupC = k.int("group_in_c", w.shape[3]!);
  const groupOut = k.int("group_out_c", (y.shape[3]! * w.shape[3]!) / x.shape[3]!);
  eachPixel(
    k,
    sizes,
    a,
    (n, oy, ox, y0, x0) =>
      k.for("oc", 0, sizes.outC, (oc) => {
        const acc = start(oc);
        const first = k.let("first", oc.div(groupOut).mul(groupC));
        eachInside(k, sizes, a, n, y0, x0, (ky, kx, pixel) => {
          const from = k.let("from", pixel.mul(sizes.inC).add(first));
          const tap = k.let("tap", oc.mul(sizes.filterH).add(ky).mul(sizes.filterW).add(kx).mul(groupC));
          k.for("ic", 0, groupC, (ic) => multiplyAdd(acc, load(from.add(ic)), weights.load(tap.add(ic))));
        });
        const at = n.mul(sizes.outH).add(oy).mul(sizes.outW).add(ox).mul(sizes.outC).add(oc);
        output.store(at, finishAccumulator(k, acc, oc));
      }),
    begin,
  );
  return k.finish(`conv2d_${kernelSuffix(node)}`, "2-D convolution, one output element at a time.");
}

function depthwiseLoops(k: KernelBuilder, node: Node): KernelInstance {
  const a = attributesOf<DepthwiseAttributes>(node);
  const [x, w, y] = [inputOf(node, 0), inputOf(node, 1), outputOf(node)];
  const input = k.input(0, "x");
  const weights = k.input(1, "w");
  const { load, start, begin } = layerInput(k, node, input, a.activation);
  const output = k.output(0, "y");
  const sizes = windowSizes(k, x, y, w.shape[1]!, w.shape[2]!);
  const multiplier = k.int("depth_multiplier", a.depthMultiplier);
  eachPixel(
    k,
    sizes,
    a,
    (n, oy, ox, y0, x0) =>
      k.for("ic", 0, sizes.inC, (ic) =>
        k.for("m", 0, multiplier, (m) => {
          const oc = k.let("oc", ic.mul(multiplier).add(m));
          const acc = start(oc);
          eachInside(k, sizes, a, n, y0, x0, (ky, kx, pixel) =>
            multiplyAdd(acc, load(pixel.mul(sizes.inC).add(ic)), weights.load(ky.mul(sizes.filterW).add(kx).mul(sizes.outC).add(oc))),
          );
          const at = n.mul(sizes.outH).add(oy).mul(sizes.outW).add(ox).mul(sizes.outC).add(oc);
          output.store(at, finishAccumulator(k, acc, oc));
        }),
      ),
    begin,
  );
  return k.finish(`depthwise_conv2d_${kernelSuffix(node)}`, "Depthwise 2-D convolution, one output element at a time.");
}

export function quantized(scale: number, zeroPoint: number): { scales: number[]; zeroPoints: number[]; axis: number } {
  return { scales: [scale], zeroPoints: [zeroPoint], axis: 0 };
}

const int8 = (shape: number[], scale: number, zeroPoint: number): ValueType => ({ dtype: "int8", shape, quantization: quantized(scale, zeroPoint) });
const perChannel = (scales: number[], axis: number): NonNullable<ValueType["quantization"]> => ({ scales, zeroPoints: scales.map(() => 0), axis });
const WINDOW: WindowAttributes = {
  strideH: 1,
  strideW: 1,
  dilationH: 1,
  dilationW: 1,
  padTop: 1,
  padBottom: 1,
  padLeft: 1,
  padRight: 1,
  activation: "none",
};
const NO_PAD = { padTop: 0, padBottom: 0, padLeft: 0, padRight: 0 };

export const conv2d: OpDef = {
  name: "conv2d",
  infer(inputs, attributes) {
    const a = attributesOf<WindowAttributes>({ attributes });
    const [x, w] = [typeAt("conv2d", inputs, 0, 4), typeAt("conv2d", inputs, 1, 4)];
    const [c, wc, oc] = [x.shape[3]!, w.shape[3]!, w.shape[0]!];
    if (c % wc !== 0 || oc % (c / wc) !== 0)
      refuse("conv2d", `weights of ${wc} channels do not divide an input of ${c} into groups for ${oc} outputs`);
    checkBias("conv2d", inputs[2], oc);
    return [{ dtype: x.dtype, shape: convShape("conv2d", x, w, a, oc) }];
  },
  loops: conv2dLoops,
  parameters: [1, 2],
  macs: (node) =>
    outputOf(node).shape.reduce((p, d) => p * d, 1) *
    inputOf(node, 1)
      .shape.slice(1)
      .reduce((p, d) => p * d, 1),
  cases: [
    {
      name: "3x3 padded",
      attributes: { ...WINDOW },
      inputs: [
        int8([1, 5, 6, 3], 0.05, -3),
        { dtype: "int8", shape: [8, 3, 3, 3], quantization: perChannel([0.01, 0.02, 0.03, 0.011, 0.012, 0.013, 0.014, 0.015], 0), constant: true },
        { dtype: "int32", shape: [8], constant: true, low: -2000, high: 2000 },
      ],
      outputs: [int8([1, 5, 6, 8], 0.2, 7)],
    },
    {
      name: "stride 2, dilation 2, relu6",
      attributes: { ...WINDOW, strideH: 2, strideW: 2, dilationH: 2, dilationW: 2, activation: "relu6" },
      inputs: [int8([2, 9, 8, 2], 0.05, -3), { dtype: "int8", shape: [5, 3, 3, 2], quantization: quantized(0.01, 0), constant: true }, null],
      outputs: [int8([2, 4, 3, 5], 0.05, -128)],
    },
    {
      name: "1x1",
      attributes: { ...WINDOW, ...NO_PAD },
      inputs: [
        int8([1, 4, 4, 9], 0.05, 5),
        { dtype: "int8", shape: [7, 1, 1, 9], quantization: quantized(0.01, 0), constant: true },
        { dtype: "int32", shape: [7], constant: true, low: -2000, high: 2000 },
      ],
      outputs: [int8([1, 4, 4, 7], 0.1, 0)],
    },
    {
      name: "two groups",
      attributes: { ...WINDOW },
      inputs: [int8([1, 4, 4, 4], 0.05, 5), { dtype: "int8", shape: [6, 3, 3, 2], quantization: quantized(0.01, 0), constant: true }, null],
      outputs: [int8([1, 4, 4, 6], 0.1, 0)],
    },
    {
      name: "uint8",
      attributes: { ...WINDOW, activation: "relu" },
      inputs: [
        { dtype: "uint8", shape: [1, 4, 4, 3], quantization: quantized(0.05, 120) },
        { dtype: "uint8", shape: [4, 3, 3, 3], quantization: quantized(0.01, 131), constant: true },
        { dtype: "int32", shape: [4], constant: true, low: -2000, high: 2000 },
      ],
      outputs: [{ dtype: "uint8", shape: [1, 4, 4, 4], quantization: quantized(0.1, 3) }],
    },
    {
      name: "16x8",
      attributes: { ...WINDOW },
      inputs: [
        { dtype: "int16", shape: [1, 4, 4, 3], quantization: quantized(0.001, 0) },
        { dtype: "int8", shape: [4, 3, 3, 3], quantization: quantized(0.01, 0), constant: true },
        { dtype: "int64", shape: [4], constant: true, low: -2000, high: 2000 },
      ],
      outputs: [{ dtype: "int16", shape: [1, 4, 4, 4], quantization: quantized(0.003, 0) }],
    },
    {
      name: "float, int8 weights",
      attributes: { ...WINDOW, activation: "relu" },
      inputs: [
        { dtype: "float32", shape: [2, 4, 4, 3] },
        { dtype: "int8", shape: [4, 3, 3, 3], quantization: quantized(0.01, 0), constant: true },
        { dtype: "float32", shape: [4], constant: true },
      ],
      outputs: [{ dtype: "float32", shape: [2, 4, 4, 4] }],
    },
    {
      name: "float, int8 weights per channel",
      attributes: { ...WINDOW },
      inputs: [
        { dtype: "float32", shape: [2, 4, 4, 3] },
        { dtype: "int8", shape: [4, 3, 3, 3], quantization: perChannel([0.01, 0.02, 0.03, 0.011], 0), constant: true },
        null,
      ],
      outputs: [{ dtype: "float32", shape: [2, 4, 4, 4] }],
    },
    {
      name: "float",
      attributes: { ...WINDOW, activation: "relu" },
      inputs: [
        { dtype: "float32", shape: [1, 4, 4, 3] },
        { dtype: "float32", shape: [4, 3, 3, 3], constant: true },
        { dtype: "float32", shape: [4], constant: true },
      ],
      outputs: [{ dtype: "float32", shape: [1, 4, 4, 4] }],
    },
  ],
};

export const depthwiseConv2d: OpDef = {
  name: "depthwiseConv2d",
  infer(inputs, attributes) {
    const a = attributesOf<DepthwiseAttributes>({ attributes });
    const [x, w] = [typeAt("depthwiseConv2d", inputs, 0, 4), typeAt("depthwiseConv2d", inputs, 1, 4)];
    const channels = x.shape[3]! * a.depthMultiplier;
    if (w.shape[0] !== 1 || w.shape[3] !== channels) refuse("depthwiseConv2d", `weights must be [1,h,w,${channels}], not [${w.shape.join(",")}]`);
    checkBias("depthwiseConv2d", inputs[2], channels);
    return [{ dtype: x.dtype, shape: convShape("depthwiseConv2d", x, w, a, channels) }];
  },
  loops: depthwiseLoops,
  parameters: [1, 2],
  macs: (node) => outputOf(node).shape.reduce((p, d) => p * d, 1) * inputOf(node, 1).shape[1]! * inputOf(node, 1).shape[2]!,
  cases: [
    {
      name: "3x3 padded",
      attributes: { ...WINDOW, depthMultiplier: 1 },
      inputs: [
        int8([1, 5, 6, 4], 0.05, -3),
        { dtype: "int8", shape: [1, 3, 3, 4], quantization: perChannel([0.01, 0.02, 0.03, 0.011], 3), constant: true },
        { dtype: "int32", shape: [4], constant: true, low: -2000, high: 2000 },
      ],
      outputs: [int8([1, 5, 6, 4], 0.1, 7)],
    },
    {
      name: "multiplier 2, stride 2",
      attributes: { ...WINDOW, strideH: 2, strideW: 2, depthMultiplier: 2, activation: "relu6" },
      inputs: [int8([1, 5, 6, 3], 0.05, -3), { dtype: "int8", shape: [1, 3, 3, 6], quantization: quantized(0.02, 0), constant: true }, null],
      outputs: [int8([1, 3, 3, 6], 0.05, -128)],
    },
    {
      name: "16x8",
      attributes: { ...WINDOW, depthMultiplier: 1 },
      inputs: [
        { dtype: "int16", shape: [1, 4, 4, 3], quantization: quantized(0.001, 0) },
        { dtype: "int8", shape: [1, 3, 3, 3], quantization: quantized(0.01, 0), constant: true },
        { dtype: "int64", shape: [3], constant: true, low: -2000, high: 2000 },
      ],
      outputs: [{ dtype: "int16", shape: [1, 4, 4, 3], quantization: quantized(0.003, 0) }],
    },
    {
      name: "float, int8 weights per channel",
      attributes: { ...WINDOW, depthMultiplier: 1, activation: "relu6" },
      inputs: [
        { dtype: "float32", shape: [1, 4, 4, 3] },
        { dtype: "int8", shape: [1, 3, 3, 3], quantization: perChannel([0.01, 0.02, 0.03], 3), constant: true },
        { dtype: "float32", shape: [3], constant: true },
      ],
      outputs: [{ dtype: "float32", shape: [1, 4, 4, 3] }],
    },
    {
      name: "float",
      attributes: { ...WINDOW, depthMultiplier: 1, activation: "relu6" },
      inputs: [
        { dtype: "float32", shape: [1, 4, 4, 3] },
        { dtype: "float32", shape: [1, 3, 3, 3], constant: true },
        { dtype: "float32", shape: [3], constant: true },
      ],
      outputs: [{ dtype: "float32", shape: [1, 4, 4, 3] }],
    },
  ],
};
