import { elementCount } from "../../../base/index.ts";
import type { Node, Quantization } from "../../../graph/index.ts";
import type { BatchNormAttributes, DenseAttributes, PoolAttributes, RoiAlignAttributes, WindowAttributes } from "../../../ops/index.ts";
import type { AttributeProto } from "../proto.ts";
import { float, int, ints, text } from "./attributes.ts";
import type { NodeWriter } from "./node-writer.ts";
import type { Tensor } from "./parts.ts";
import { images, type WriteRules } from "./rule.ts";
import { isQuantized } from "./values.ts";

/** Channels before rows and columns, as ONNX has images; and weights [o, h, w, i] as [o, i, h, w]. */
const CHANNELS_FIRST = [0, 3, 1, 2];
/** Weights with the channels of the output last, as [o, i, h, w]. */
const LAST_TO_FRONT = [3, 0, 1, 2];

const window = (a: WindowAttributes): AttributeProto[] => [
  ints("strides", [a.strideH, a.strideW]),
  ints("pads", [a.padTop, a.padLeft, a.padBottom, a.padRight]),
];

const dilations = ({ dilationH = 1, dilationW = 1 }: WindowAttributes): AttributeProto[] =>
  dilationH === 1 && dilationW === 1 ? [] : [ints("dilations", [dilationH, dilationW])];

/** The scales of a layer's sums, which are those of its bias. */
function sumScales(node: Node): Quantization | undefined {
  const [x, weights, bias] = node.inputs;
  if (bias?.quantization !== undefined) return bias.quantization;
  if (!x || !weights || !isQuantized(x) || !isQuantized(weights)) return undefined;
  const scales = weights.quantization!.scales.map((scale) => Math.fround(scale * x.quantization!.scales[0]!));
  return { scales, zeroPoints: scales.map(() => 0), axis: 0 };
}

function biasOf(w: NodeWriter): Tensor[] {
  const bias = w.optional(2);
  if (bias === null) return [];
  return [bias.dtype === "float32" ? w.real(2) : w.real(2, undefined, sumScales(w.node))];
}

function convolution(w: NodeWriter, weights: Tensor): void {
  const a = w.attributes<WindowAttributes>();
  const x = w.real(0, CHANNELS_FIRST);
  const group = x.shape[1]! / weights.shape[1]!;
  const attributes = [ints("kernel_shape", weights.shape.slice(2)), ...window(a), ...dilations(a), ...(group === 1 ? [] : [int("group", group)])];
  const sums = w.emit("Conv", [x, weights, ...biasOf(w)], w.shape(CHANNELS_FIRST), attributes);
  w.give(w.activated(sums, a.activation), CHANNELS_FIRST);
}

function pool(w: NodeWriter, op: "AveragePool" | "MaxPool"): void {
  const a = w.attributes<PoolAttributes>();
  const attributes = [ints("kernel_shape", [a.filterH, a.filterW]), ...window(a)];
  const y = w.emit(op, [w.real(0, CHANNELS_FIRST)], w.shape(CHANNELS_FIRST), attributes);
  w.give(w.activated(y, a.activation), CHANNELS_FIRST);
}

/** What lies beyond the end of a transposed convolution is cut off, or added where it ends early. */
function ending(size: number, stride: number, filter: number, before: number, output: number): { after: number; extra: number } {
  const after = (size - 1) * stride + filter - before - output;
  return { after: Math.max(0, after), extra: Math.max(0, -after) };
}

function transposedConvolution(w: NodeWriter): void {
  const a = w.attributes<WindowAttributes & { outputHeight: number; outputWidth: number }>();
  const [x, weights] = [w.real(0, CHANNELS_FIRST), w.real(1, LAST_TO_FRONT)];
  const [, , h, width] = x.shape as [number, number, number, number];
  const [filterH, filterW] = weights.shape.slice(2) as [number, number];
  const rows = ending(h, a.strideH, filterH, a.padTop, a.outputHeight);
  const columns = ending(width, a.strideW, filterW, a.padLeft, a.outputWidth);
  const attributes = [
    ints("kernel_shape", [filterH, filterW]),
    ints("strides", [a.strideH, a.strideW]),
    ints("pads", [a.padTop, a.padLeft, rows.after, columns.after]),
    ...(rows.extra + columns.extra === 0 ? [] : [ints("output_padding", [rows.extra, columns.extra])]),
  ];
  const sums = w.emit("ConvTranspose", [x, weights, ...biasOf(w)], w.shape(CHANNELS_FIRST), attributes);
  w.give(w.activated(sums, a.activation), CHANNELS_FIRST);
}

/** Gemm has a bias and is for matrices; MatMul has none and is for everything: with floats a sum behind it is the bias. */
function fullyConnected(w: NodeWriter): void {
  const { activation } = w.attributes<DenseAttributes>();
  const [outputs, inputs] = w.input(1).shape as [number, number];
  const { shape } = w.input(0);
  const bias = biasOf(w);
  const rows = elementCount(w.shape()) / outputs;
  const isMatrix = shape.length === 2 && shape[1] === inputs;
  const keepsDims = shape.at(-1) === inputs && shape.length === w.shape().length;
  if (keepsDims && (bias.length === 0 || (!isMatrix && !isQuantized(w.output())))) {
    const sums = w.emit("MatMul", [w.real(0), w.real(1, [1, 0])]);
    return w.give(w.activated(bias.length === 0 ? sums : w.emit("Add", [sums, ...bias]), activation));
  }
  const x = isMatrix ? w.real(0) : w.reshape(w.inOrder(0), [rows, inputs]);
  const sums = w.activated(w.emit("Gemm", [x, w.real(1), ...bias], [rows, outputs], [int("transB", 1)]), activation);
  w.give(w.shape().length === 2 ? sums : w.reshape(sums, w.shape()));
}

/** Gemm turns matrices itself; operands of more dimensions are turned before. */
function batchMatmul(w: NodeWriter): void {
  const { adjX, adjY } = w.attributes<{ adjX: boolean; adjY: boolean }>();
  const ranks = [w.input(0), w.input(1)].map(({ shape }) => shape.length);
  if ((adjX || adjY) && ranks.every((rank) => rank === 2))
    return w.give(w.emit("Gemm", [w.real(0), w.real(1)], w.shape(), [...(adjX ? [int("transA", 1)] : []), ...(adjY ? [int("transB", 1)] : [])]));
  const turned = (index: number, turns: boolean): Tensor => {
    const rank = ranks[index]!;
    const order = Array.from({ length: rank }, (_, d) => d);
    return w.real(index, turns ? [...order.slice(0, -2), rank - 1, rank - 2] : order);
  };
  w.give(w.emit("MatMul", [turned(0, adjX), turned(1, adjY)]));
}

function batchNorm(w: NodeWriter): void {
  const { epsilon, activation } = w.attributes<BatchNormAttributes>();
  const rank = w.shape().length;
  const first = [0, rank - 1, ...Array.from({ length: Math.max(0, rank - 2) }, (_, d) => d + 1)].slice(0, rank);
  const statistics = [1, 2, 3, 4].map((index) => w.real(index));
  const y = w.emit("BatchNormalization", [w.real(0, first), ...statistics], w.shape(first), [float("epsilon", epsilon)]);
  w.give(w.activated(y, activation), first);
}

function roiAlign(w: NodeWriter): void {
  const a = w.attributes<RoiAlignAttributes>();
  const attributes = [
    text("mode", a.mode),
    int("output_height", a.outputHeight),
    int("output_width", a.outputWidth),
    int("sampling_ratio", a.samplingRatio),
    float("spatial_scale", a.spatialScale),
    text("coordinate_transformation_mode", a.halfPixel ? "half_pixel" : "output_half_pixel"),
  ];
  w.give(w.emit("RoiAlign", [w.real(0, CHANNELS_FIRST), w.real(1), w.stored(2)], w.shape(CHANNELS_FIRST), attributes), CHANNELS_FIRST);
}

export const LAYERS: WriteRules = {
  conv2d: images((w) => convolution(w, w.real(1, CHANNELS_FIRST))),
  depthwiseConv2d: images((w) => convolution(w, w.real(1, LAST_TO_FRONT))),
  averagePool2d: images((w) => pool(w, "AveragePool")),
  maxPool2d: images((w) => pool(w, "MaxPool")),
  transposeConv2d: images(transposedConvolution),
  roiAlign: { ...images(roiAlign), since: 16 },
  fullyConnected: { write: fullyConnected },
  batchMatmul: { write: batchMatmul },
  batchNorm: {
    ...images(batchNorm),
    obstacle: ({ outputs }) => (outputs[0]!.shape.length < 2 ? "ONNX normalizes channels of batches" : undefined),
  },
};
