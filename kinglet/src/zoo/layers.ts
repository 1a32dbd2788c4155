import { elementCount, type TypedArray, Xorshift32 } from "../base/index.ts";
import { type Attributes, type Graph, GraphBuilder, type Quantization, type Value, type ValueType } from "../graph/index.ts";

export type Precision = "int8" | "float32";
export type LayerActivation = "none" | "relu" | "relu6";

/** A value and the mean square of its real numbers, which says how large the next layer's weights may be. */
export interface Signal {
  readonly value: Value;
  readonly meanSquare: number;
}

/** Standard deviation of the sums before a layer's activation: wide enough for ReLU6 to matter, and rarely clipped at 6. */
const DEVIATION: Readonly<Record<LayerActivation, number>> = { relu: 2, relu6: 2, none: 1 };
/** int8 covers this many standard deviations to each side where no activation bounds a value. */
const REACH = 4;
/** Standard deviation of the sum of three uniform integers in [−42, 42]. */
const STORED_DEVIATION = 42.5;
const UNIFORM_SQUARE = 1 / 3;

/** A convolution of either kind: its weights, the axis of its channels in them, and how the filter moves. */
interface Window {
  readonly shape: readonly number[];
  readonly axis: number;
  readonly fanIn: number;
  readonly channels: number;
  readonly filter: readonly [number, number];
  readonly stride: number;
  readonly activation: LayerActivation;
}

function perTensor(low: number, high: number): Quantization {
  const scale = Math.fround((high - low) / 255);
  return { scales: [scale], zeroPoints: [Math.round(-128 - low / scale)], axis: 0 };
}

/** Zeros around an edge so that a window gives ceil(length / stride) positions, the larger half behind ("same" padding). */
function samePadding(length: number, size: number, stride: number): readonly [number, number] {
  const total = Math.max(0, (Math.ceil(length / stride) - 1) * stride + size - length);
  return [total >> 1, total - (total >> 1)];
}

/**
 * Writes image networks layer by layer with seeded weights: no training, but signals of natural size. Weights are
 * bell-shaped and scaled by the mean square of what they meet (He et al., "Delving deep into rectifiers", ICCV 2015), so
 * that sums keep their size through any depth and int8 scales follow without running the network. Both precisions
 * hold the same weights.
 */
export class LayerWriter {
  private readonly builder: GraphBuilder;
  private readonly random: Xorshift32;
  private readonly precision: Precision;

  constructor(name: string, precision: Precision, seed: number) {
    this.builder = new GraphBuilder(name);
    this.precision = precision;
    this.random = new Xorshift32(seed);
  }

  private type(shape: readonly number[], quantization: Quantization): ValueType {
    return this.precision === "int8" ? { dtype: "int8", shape, quantization } : { dtype: "float32", shape };
  }

  private node(op: string, name: string, inputs: readonly Value[], type: ValueType, attributes: Attributes): Value {
    const y = this.builder.value(name, type);
    this.builder.node(op, inputs, [y], attributes, name);
    return y;
  }

  /** An input [1, height, width, channels] of numbers in [−1, 1). */
  input(name: string, shape: readonly [1, number, number, number]): Signal {
    const value = this.builder.input(name, this.type(shape, { scales: [2 ** -7], zeroPoints: [0], axis: 0 }));
    return { value, meanSquare: UNIFORM_SQUARE };
  }

  /** Weights whose products with `x`, summed over `fanIn` terms, have the given standard deviation; a scale for each channel. */
  private weights(name: string, x: Signal, shape: readonly number[], axis: number, fanIn: number, deviation: number): Value {
    const spread = deviation / Math.sqrt(fanIn * x.meanSquare) / STORED_DEVIATION;
    const scales = Array.from({ length: shape[axis]! }, () => Math.fround(spread * (1 + 0.3 * this.random.float())));
    const third = (): number => this.random.int(-42, 42);
    const stored = Int8Array.from({ length: elementCount(shape) }, () => third() + third() + third());
    const quantization = { scales, zeroPoints: scales.map(() => 0), axis };
    const span = stored.length / scales.length;
    const channelOf = (i: number): number => (axis === 0 ? Math.floor(i / span) : i % scales.length);
    return this.constant(name, this.type(shape, quantization), () => Float32Array.from(stored, (w, i) => w * scales[channelOf(i)]!), stored);
  }

  private constant(name: string, type: ValueType, real: () => Float32Array, stored: TypedArray): Value {
    return this.builder.constant(name, type, type.dtype === "float32" ? real() : stored);
  }

  private bias(name: string, x: Signal, weights: Value, channels: number, size: number): Value {
    const real = Float32Array.from({ length: channels }, () => size * this.random.float());
    if (this.precision === "float32") return this.builder.constant(name, { dtype: "float32", shape: [channels] }, real);
    const scales = weights.quantization!.scales.map((scale) => scale * x.value.quantization!.scales[0]!);
    const quantization = { scales, zeroPoints: scales.map(() => 0), axis: 0 };
    const stored = Int32Array.from(real, (b, i) => Math.round(b / scales[i]!));
    return this.builder.constant(name, { dtype: "int32", shape: [channels], quantization }, stored);
  }

  /** Signal of a layer's result: half the mean square of its sums is left above zero. */
  private result(value: Value, activation: LayerActivation): Signal {
    const square = DEVIATION[activation] ** 2;
    return { value, meanSquare: activation === "none" ? square : square / 2 };
  }

  private resultType(shape: readonly number[], activation: LayerActivation): ValueType {
    const reach = REACH * DEVIATION[activation];
    return this.type(shape, activation === "none" ? perTensor(-reach, reach) : perTensor(0, activation === "relu6" ? 6 : reach));
  }

  private window(op: "conv2d" | "depthwiseConv2d", name: string, x: Signal, layer: Window): Signal {
    const { axis, fanIn, channels, stride, activation } = layer;
    const [filterH, filterW] = layer.filter;
    const [, height, width] = x.value.shape as [number, number, number, number];
    const [padTop, padBottom] = samePadding(height, filterH, stride);
    const [padLeft, padRight] = samePadding(width, filterW, stride);
    const weights = this.weights(`${name}_weights`, x, layer.shape, axis, fanIn, DEVIATION[activation]);
    const bias = this.bias(`${name}_bias`, x, weights, channels, DEVIATION[activation] / 2);
    const type = this.resultType([1, Math.ceil(height / stride), Math.ceil(width / stride), channels], activation);
    const attributes = { strideH: stride, strideW: stride, padTop, padBottom, padLeft, padRight, activation };
    const all = op === "conv2d" ? attributes : { ...attributes, depthMultiplier: 1 };
    return this.result(this.node(op, name, [x.value, weights, bias], type, all), activation);
  }

  /** A convolution with "same" padding; `filter` is rows and columns. */
  conv(name: string, x: Signal, channels: number, filter: readonly [number, number], stride: number, activation: LayerActivation): Signal {
    const inC = x.value.shape[3]!;
    const shape = [channels, ...filter, inC];
    return this.window("conv2d", name, x, { shape, axis: 0, fanIn: filter[0] * filter[1] * inC, channels, filter, stride, activation });
  }

  /** One 3 × 3 filter for each channel, "same" padding. */
  depthwise(name: string, x: Signal, stride: number, activation: LayerActivation): Signal {
    const channels = x.value.shape[3]!;
    return this.window("depthwiseConv2d", name, x, { shape: [1, 3, 3, channels], axis: 3, fanIn: 9, channels, filter: [3, 3], stride, activation });
  }

  /** Sum of two independent signals: their mean squares add. */
  add(name: string, a: Signal, b: Signal): Signal {
    const meanSquare = a.meanSquare + b.meanSquare;
    const reach = REACH * Math.sqrt(meanSquare);
    const type = this.type(a.value.shape, perTensor(-reach, reach));
    return { value: this.node("add", name, [a.value, b.value], type, { activation: "none" }), meanSquare };
  }

  /** Average over the whole map, and class probabilities [1, classes] from it. */
  classify(x: Signal, classes: number): Signal {
    const [, filterH, filterW, channels] = x.value.shape as [number, number, number, number];
    const attributes = { filterH, filterW, strideH: 1, strideW: 1, padTop: 0, padBottom: 0, padLeft: 0, padRight: 0, activation: "none" };
    const pooled = this.node("averagePool2d", "average", [x.value], { ...x.value, shape: [1, 1, 1, channels] }, attributes);
    // The mean of a rectified bell curve, squared, is 1/π of its mean square; averaging leaves little else.
    const mean: Signal = { value: pooled, meanSquare: x.meanSquare / Math.PI };
    const weights = this.weights("logits_weights", mean, [classes, channels], 0, channels, 1);
    const bias = this.bias("logits_bias", mean, weights, classes, 0.5);
    const dense = { activation: "none", keepDims: false };
    const logits = this.node("fullyConnected", "logits", [pooled, weights, bias], this.resultType([1, classes], "none"), dense);
    const type = this.type([1, classes], { scales: [1 / 256], zeroPoints: [-128], axis: 0 });
    return { value: this.node("softmax", "probabilities", [logits], type, { beta: 1 }), meanSquare: 1 / classes };
  }

  build(output: Signal, description: string): Graph {
    this.builder.output(output.value);
    this.builder.note("description", `${description} Seeded weights: real sizes, no training.`);
    return this.builder.build();
  }
}
