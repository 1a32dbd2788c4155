import type { Attributes, Node } from "../../graph/index.ts";
import { attributesOf, type PoolAttributes, type WindowAttributes } from "../../ops/index.ts";
import { BATCH_MATMUL, CONV_2D, DEPTHWISE_CONV_2D, FULLY_CONNECTED, type OptionTable, type Padding, POOL_2D, TRANSPOSE_CONV } from "./options.ts";
import { attributesFrom, type OperatorRow, type OperatorRows, row, vectorOf } from "./row.ts";
import type { Site } from "./site.ts";

/** The file stores SAME and VALID; the graph stores the rows and columns of padding that they mean. */
interface Axis {
  readonly input: number;
  readonly filter: number;
  readonly stride: number;
  readonly dilation: number;
}

const extent = ({ filter, dilation }: Axis): number => (filter - 1) * dilation + 1;

function outputSize(axis: Axis, same: boolean): number {
  return Math.ceil((axis.input - (same ? 0 : extent(axis) - 1)) / axis.stride);
}

/** SAME puts the odd row after the image. */
function padsOf(axis: Axis, same: boolean): [number, number] {
  if (!same) return [0, 0];
  const total = Math.max((outputSize(axis, true) - 1) * axis.stride + extent(axis) - axis.input, 0);
  return [total >> 1, total - (total >> 1)];
}

interface Strides {
  readonly strideH: number;
  readonly strideW: number;
}

/** What the file says of a window: its padding by name and its steps; without dilations they are 1. */
interface WindowOptions extends Strides {
  readonly padding: Padding;
  readonly dilationH?: number;
  readonly dilationW?: number;
}

interface Size {
  readonly height: number;
  readonly width: number;
}

/** A window over the rows of an image [n, h, w, c], and over its columns. */
function axesOf(image: readonly number[], filter: Size, o: Omit<WindowOptions, "padding">): [vertical: Axis, horizontal: Axis] {
  return [
    { input: image[1]!, filter: filter.height, stride: o.strideH, dilation: o.dilationH ?? 1 },
    { input: image[2]!, filter: filter.width, stride: o.strideW, dilation: o.dilationW ?? 1 },
  ];
}

type Pads = Pick<WindowAttributes, "padTop" | "padBottom" | "padLeft" | "padRight">;

function padsFor(image: readonly number[], filter: Size, o: WindowOptions): Pads {
  const [[padTop, padBottom], [padLeft, padRight]] = axesOf(image, filter, o).map((axis) => padsOf(axis, o.padding === "SAME")) as [
    [number, number],
    [number, number],
  ];
  return { padTop, padBottom, padLeft, padRight };
}

/** The name of a node's padding, or null where its rows and columns are neither; `image` is what the window moves over. */
function paddingOf(image: readonly number[], filter: Size, a: Omit<WindowOptions, "padding"> & Pads): { options: { padding: Padding } } | null {
  for (const padding of ["VALID", "SAME"] as const) {
    const pads = padsFor(image, filter, { ...a, padding });
    if (Object.entries(pads).every(([side, rows]) => a[side as keyof Pads] === rows)) return { options: { padding } };
  }
  return null;
}

/** The file states the output's shape too; a file where the two disagree is damaged. */
function checkOutput(site: Site, filter: Size, o: WindowOptions): void {
  const image = site.shape(0, 4);
  const output = site.outputShape(4);
  const [height, width] = axesOf(image, filter, o).map((axis) => outputSize(axis, o.padding === "SAME"));
  if (output[1] !== height || output[2] !== width || output[0] !== image[0])
    site.fail(`the output is ${output.join("×")} where ${image[0]}×${height}×${width}×… follows from the input`);
}

interface ConvolutionOptions extends Required<WindowOptions> {
  readonly activation: string;
}

function convolution(site: Site, o: ConvolutionOptions): Attributes {
  const image = site.shape(0, 4);
  const weights = site.shape(1, 4);
  const filter = { height: weights[1]!, width: weights[2]! };
  checkOutput(site, filter, o);
  const { padding: _named, ...rest } = o;
  return { ...rest, ...padsFor(image, filter, o) };
}

function conv2d(site: Site, o: ConvolutionOptions): Attributes {
  const [channels, outputs, perGroup] = [site.shape(0, 4)[3]!, site.shape(1, 4)[0]!, site.shape(1, 4)[3]!];
  if (channels % perGroup !== 0 || outputs % (channels / perGroup) !== 0)
    site.fail(`filters of ${perGroup} channels do not divide an input of ${channels} channels into groups for ${outputs} outputs`);
  if (site.outputShape(4)[3] !== outputs) site.fail(`the output has ${site.outputShape()[3]} channels for ${outputs} filters`);
  return convolution(site, o);
}

function depthwiseConv2d(site: Site, o: ConvolutionOptions): Attributes {
  const [channels, weights] = [site.shape(0, 4)[3]!, site.shape(1, 4)];
  if (weights[0] !== 1 || weights[3]! % channels !== 0) site.fail(`depthwise filters of shape ${weights.join("×")} do not fit ${channels} channels`);
  if (site.outputShape(4)[3] !== weights[3]) site.fail(`the output has ${site.outputShape()[3]} channels for ${weights[3]} filters`);
  return { ...convolution(site, o), depthMultiplier: weights[3]! / channels };
}

/** Files could hold these, but runtimes demand a bias beside integer weights, and a scale for each channel of hybrid depthwise ones. */
function isNeverRun({ op, inputs: [x, weights, bias] }: Node): boolean {
  if (weights!.dtype === "float32") return false;
  const isHybrid = x!.dtype === "float32";
  return op === "conv2d" ? !bias : isHybrid && weights!.quantization?.scales.length !== weights!.shape[3];
}

function writeConvolution(node: Node): ReturnType<typeof paddingOf> {
  if (isNeverRun(node)) return null;
  const [image, weights] = [node.inputs[0]!.shape, node.inputs[1]!.shape];
  return paddingOf(image, { height: weights[1]!, width: weights[2]! }, attributesOf<WindowAttributes>(node));
}

function pooling(op: string): OperatorRow {
  return row(op, "x", {
    options: POOL_2D,
    read(site, o) {
      const filter = { height: o.filterH, width: o.filterW };
      checkOutput(site, filter, o);
      const { padding: _named, ...rest } = o;
      return { ...rest, ...padsFor(site.shape(0, 4), filter, o) };
    },
    write(node) {
      const a = attributesOf<PoolAttributes>(node);
      return paddingOf(node.inputs[0]!.shape, { height: a.filterH, width: a.filterW }, a);
    },
  });
}

type TransposeOptions = typeof TRANSPOSE_CONV extends OptionTable<infer O> ? O : never;

/** The padding is that of the forward convolution from the output's size to the input's. */
function transposeConv2d(site: Site, o: TransposeOptions): Attributes {
  const output = site.constantOrNull(0) ?? site.outputShape(4); // where the shape is computed, the output still states it
  const weights = site.shape(1, 4);
  site.shape(2, 4);
  const stated = site.outputShape(4);
  if (output.length !== 4 || output.some((dim, i) => dim !== stated[i]))
    site.fail(`the output shape ${output.join("×")} differs from the output tensor's ${stated.join("×")}`);
  const { padding: _named, ...rest } = o;
  return { ...rest, ...padsFor(output, { height: weights[1]!, width: weights[2]! }, o), outputHeight: output[1]!, outputWidth: output[2]! };
}

const transposed: OperatorRow = row("transposeConv2d", "oxx?", {
  options: TRANSPOSE_CONV,
  order: [1, 0, 2],
  read: transposeConv2d,
  write(node) {
    const [output, weights] = [node.outputs[0]!.shape, node.inputs[1]!.shape];
    const padding = paddingOf(output, { height: weights[1]!, width: weights[2]! }, attributesOf<WindowAttributes>(node));
    return padding && { ...padding, constants: [vectorOf(output)] };
  },
});

const dense: OperatorRow = row("fullyConnected", "xx?", {
  options: FULLY_CONNECTED,
  read(site, { weightsFormat: _default, ...rest }) {
    site.shape(1, 2);
    return attributesFrom(rest);
  },
});

/** Convolutions, pooling and dense layers. */
export const WINDOW_ROWS: OperatorRows = {
  CONV_2D: row("conv2d", "xx?", { options: CONV_2D, read: conv2d, write: writeConvolution }),
  DEPTHWISE_CONV_2D: row("depthwiseConv2d", "xx?", { options: DEPTHWISE_CONV_2D, read: depthwiseConv2d, write: writeConvolution }),
  TRANSPOSE_CONV: transposed,
  AVERAGE_POOL_2D: pooling("averagePool2d"),
  MAX_POOL_2D: pooling("maxPool2d"),
  FULLY_CONNECTED: dense,
  BATCH_MATMUL: row("batchMatmul", "xx", { options: BATCH_MATMUL, read: (_site, options) => attributesFrom(options) }),
  EMBEDDING_LOOKUP: row("embeddingLookup", "xx"),
};
