import type { Attributes } from "../../graph/index.ts";
import { activation, type OperatorRows, row, type Site } from "./site.ts";

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

function isSame(site: Site): boolean {
  return site.options.byte(0) === 0;
}

function strides(site: Site): { strideH: number; strideW: number } {
  return { strideH: site.positive(site.options.int(2), "the vertical stride"), strideW: site.positive(site.options.int(1), "the horizontal stride") };
}

interface Window {
  readonly height: number;
  readonly width: number;
  readonly dilationH?: number;
  readonly dilationW?: number;
}

function pads(site: Site, image: readonly number[], window: Window): Attributes {
  const same = isSame(site);
  const { strideH, strideW } = strides(site);
  const vertical = { input: image[1]!, filter: window.height, stride: strideH, dilation: window.dilationH ?? 1 };
  const horizontal = { input: image[2]!, filter: window.width, stride: strideW, dilation: window.dilationW ?? 1 };
  const [padTop, padBottom] = padsOf(vertical, same);
  const [padLeft, padRight] = padsOf(horizontal, same);
  return { strideH, strideW, padTop, padBottom, padLeft, padRight };
}

/** The file states the output's shape too; a file where the two disagree is damaged. */
function checkOutput(site: Site, window: Window): void {
  const image = site.shape(0, 4);
  const output = site.outputShape(4);
  const { strideH, strideW } = strides(site);
  const same = isSame(site);
  const height = outputSize({ input: image[1]!, filter: window.height, stride: strideH, dilation: window.dilationH ?? 1 }, same);
  const width = outputSize({ input: image[2]!, filter: window.width, stride: strideW, dilation: window.dilationW ?? 1 }, same);
  if (output[1] !== height || output[2] !== width || output[0] !== image[0])
    site.fail(`the output is ${output.join("×")} where ${image[0]}×${height}×${width}×… follows from the input`);
}

function convolution(site: Site, dilationField: number): Attributes {
  const image = site.shape(0, 4);
  const weights = site.shape(1, 4);
  const dilationW = site.positive(site.options.int(dilationField, 1), "the horizontal dilation");
  const dilationH = site.positive(site.options.int(dilationField + 1, 1), "the vertical dilation");
  const window = { height: weights[1]!, width: weights[2]!, dilationH, dilationW };
  checkOutput(site, window);
  return { ...pads(site, image, window), dilationH, dilationW };
}

function conv2d(site: Site): Attributes {
  const [channels, outputs, perGroup] = [site.shape(0, 4)[3]!, site.shape(1, 4)[0]!, site.shape(1, 4)[3]!];
  if (channels % perGroup !== 0 || outputs % (channels / perGroup) !== 0)
    site.fail(`filters of ${perGroup} channels do not divide an input of ${channels} channels into groups for ${outputs} outputs`);
  if (site.outputShape(4)[3] !== outputs) site.fail(`the output has ${site.outputShape()[3]} channels for ${outputs} filters`);
  return { ...convolution(site, 4), activation: activation(site, 3) };
}

function depthwiseConv2d(site: Site): Attributes {
  const [channels, weights] = [site.shape(0, 4)[3]!, site.shape(1, 4)];
  if (weights[0] !== 1 || weights[3]! % channels !== 0) site.fail(`depthwise filters of shape ${weights.join("×")} do not fit ${channels} channels`);
  if (site.outputShape(4)[3] !== weights[3]) site.fail(`the output has ${site.outputShape()[3]} channels for ${weights[3]} filters`);
  return { ...convolution(site, 5), depthMultiplier: weights[3]! / channels, activation: activation(site, 4) };
}

function pool2d(site: Site): Attributes {
  const filterW = site.positive(site.options.int(3), "the pooling width");
  const filterH = site.positive(site.options.int(4), "the pooling height");
  const window = { height: filterH, width: filterW };
  checkOutput(site, window);
  return { filterH, filterW, ...pads(site, site.shape(0, 4), window), activation: activation(site, 5) };
}

/** The padding is that of the forward convolution from the output's size to the input's. */
function transposeConv2d(site: Site): Attributes {
  const output = site.constantOrNull(0) ?? site.outputShape(4); // where the shape is computed, the output still states it
  const weights = site.shape(1, 4);
  site.shape(2, 4);
  const stated = site.outputShape(4);
  if (output.length !== 4 || output.some((dim, i) => dim !== stated[i]))
    site.fail(`the output shape ${output.join("×")} differs from the output tensor's ${stated.join("×")}`);
  const window = { height: weights[1]!, width: weights[2]! };
  return { ...pads(site, output, window), activation: activation(site, 3), outputHeight: output[1]!, outputWidth: output[2]! };
}

function fullyConnected(site: Site): Attributes {
  if (site.options.byte(1) !== 0) site.unsupported("the weights are stored shuffled", "Export the model without shuffled weights.");
  site.shape(1, 2);
  const asymmetric = site.options.bool(3) ? { asymmetricQuantizeInputs: true } : {};
  return { activation: activation(site, 0), keepDims: site.options.bool(2), ...asymmetric };
}

/** Convolutions, pooling and dense layers. */
export const WINDOW_ROWS: OperatorRows = {
  CONV_2D: row("conv2d", "xx?", conv2d),
  DEPTHWISE_CONV_2D: row("depthwiseConv2d", "xx?", depthwiseConv2d),
  TRANSPOSE_CONV: row("transposeConv2d", "oxx?", transposeConv2d, [1, 0, 2]),
  AVERAGE_POOL_2D: row("averagePool2d", "x", pool2d),
  MAX_POOL_2D: row("maxPool2d", "x", pool2d),
  FULLY_CONNECTED: row("fullyConnected", "xx?", fullyConnected),
  BATCH_MATMUL: row("batchMatmul", "xx", (site) => ({ adjX: site.options.bool(0), adjY: site.options.bool(1) })),
  EMBEDDING_LOOKUP: row("embeddingLookup", "xx"),
};
