import { elementCount, type TypedArray, Xorshift32, mapInto } from "../base/index.ts";
import { type Attributes, type Graph, GraphBuilder, type Quantization, type Value, type ValueType } from "../graph/index.ts";
import {
  type ConvSpec,
  type DepthwiseSpec,
  type Filter,
  type LayerActivation,
  type Layers,
  type MapShape,
  type Precision,
  sameWindow,
} from "./layers.ts";

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
  readonly filter: Filter;
  readonly stride: number;
  readonly activation: LayerActivation;
}

function perTensor(low: number, high: number): Quantization {
  const scale = Math.fround((high - low) / 255);
  return { scales: [scale], zeroPoints: [Math.round(-128 - low / scale)], axis: 0 };
}

/**
 * Writes networks as they are deployed, without batch normalization: no training, but signals of natural size. Weights are
 * bell-shaped and scaled by the mean square of what they meet (He et al., "Delving deep into rectifiers", ICCV 2015), so
 * that sums keep their size through any depth and int8 scales follow without running the network. Both precisions
 * hold the same weights.
 */
export class DeployedLayers implements Layers {
  private readonly builder: GraphBuilder;
  private readonly random: Xorshift32;
  private readonly precision: Precision;
  private readonly probabilities: boolean;
  /** The mean square of a value's real numbers, by its id: it says how large the next layer's weights may be. */
  private readonly meanSquares = new Map<number, number>();

  constructor(
    name: string,
    precision: Precision,
    { seed, probabilities = true }: { readonly seed: number; readonly probabilities?: boolean | undefined },
  ) {
    this.builder = new GraphBuilder(name);
    this.precision = precision;
    this.random = new Xorshift32(seed);
    this.probabilities = probabilities;
  }

  private type(shape: readonly number[], quantization: Quantization): ValueType {
    return this.precision === "int8" ? { dtype: "int8", shape, quantization } : { dtype: "float32", shape };
  }

  private node(op: string, name: string, inputs: readonly Value[], type: ValueType, attributes: Attributes): Value {
    const y = this.builder.value(name, type);
    this.builder.node(op, inputs, [y], attributes, name);
    return y;
  }

  /** Remembers a value's mean square. */
  private sized(value: Value, meanSquare: number): Value {
    this.meanSquares.set(value.id, meanSquare);
    return value;
  }

  private meanSquare(value: Value): number {
    return this.meanSquares.get(value.id)!;
  }

  /** An input of numbers in [−1, 1). */
  input(name: string, shape: MapShape): Value {
    return this.sized(this.builder.input(name, this.type(shape, { scales: [2 ** -7], zeroPoints: [0], axis: 0 })), UNIFORM_SQUARE);
  }

  /** Weights whose products with `x`, summed over `fanIn` terms, have the given standard deviation; a scale for each channel. */
  private weights(name: string, x: Value, shape: readonly number[], axis: number, fanIn: number, deviation: number): Value {
    const spread = deviation / Math.sqrt(fanIn * this.meanSquare(x)) / STORED_DEVIATION;
    const scales = Array.from({ length: shape[axis]! }, () => Math.fround(spread * (1 + 0.3 * this.random.float())));
    const third = (): number => this.random.int(-42, 42);
    const stored = Int8Array.from({ length: elementCount(shape) }, () => third() + third() + third());
    const quantization = { scales, zeroPoints: scales.map(() => 0), axis };
    const span = stored.length / scales.length;
    const channelOf = (i: number): number => (axis === 0 ? Math.floor(i / span) : i % scales.length);
    return this.constant(
      name,
      this.type(shape, quantization),
      () => mapInto(new Float32Array(stored.length), stored, (w, i) => w * scales[channelOf(i)]!),
      stored,
    );
  }

  private constant(name: string, type: ValueType, real: () => Float32Array, stored: TypedArray): Value {
    return this.builder.constant(name, type, type.dtype === "float32" ? real() : stored);
  }

  private bias(name: string, x: Value, weights: Value, channels: number, size: number): Value {
    const real = Float32Array.from({ length: channels }, () => size * this.random.float());
    if (this.precision === "float32") return this.builder.constant(name, { dtype: "float32", shape: [channels] }, real);
    const scales = weights.quantization!.scales.map((scale) => scale * x.quantization!.scales[0]!);
    const quantization = { scales, zeroPoints: scales.map(() => 0), axis: 0 };
    const stored = Int32Array.from(real, (b, i) => Math.round(b / scales[i]!));
    return this.builder.constant(name, { dtype: "int32", shape: [channels], quantization }, stored);
  }

  /** A layer's result: half the mean square of its sums is left above zero. */
  private result(value: Value, activation: LayerActivation): Value {
    const square = DEVIATION[activation] ** 2;
    return this.sized(value, activation === "none" ? square : square / 2);
  }

  private resultType(shape: readonly number[], activation: LayerActivation): ValueType {
    const reach = REACH * DEVIATION[activation];
    return this.type(shape, activation === "none" ? perTensor(-reach, reach) : perTensor(0, activation === "relu6" ? 6 : reach));
  }

  private window(op: "conv2d" | "depthwiseConv2d", name: string, x: Value, layer: Window): Value {
    const { axis, fanIn, channels, stride, activation } = layer;
    const [batch, height, width] = x.shape as MapShape;
    const weights = this.weights(`${name}_weights`, x, layer.shape, axis, fanIn, DEVIATION[activation]);
    const bias = this.bias(`${name}_bias`, x, weights, channels, DEVIATION[activation] / 2);
    const type = this.resultType([batch, Math.ceil(height / stride), Math.ceil(width / stride), channels], activation);
    const attributes = { ...sameWindow(x, layer.filter, stride), activation };
    const all = op === "conv2d" ? attributes : { ...attributes, depthMultiplier: 1 };
    return this.result(this.node(op, name, [x, weights, bias], type, all), activation);
  }

  conv(name: string, x: Value, { channels, filter = [1, 1], stride = 1, activation = "none" }: ConvSpec): Value {
    const inC = x.shape[3]!;
    const shape = [channels, ...filter, inC];
    return this.window("conv2d", name, x, { shape, axis: 0, fanIn: filter[0] * filter[1] * inC, channels, filter, stride, activation });
  }

  depthwise(name: string, x: Value, { filter = [3, 3], stride = 1, activation = "none" }: DepthwiseSpec): Value {
    const channels = x.shape[3]!;
    const fanIn = filter[0] * filter[1];
    return this.window("depthwiseConv2d", name, x, { shape: [1, ...filter, channels], axis: 3, fanIn, channels, filter, stride, activation });
  }

  /** Sum of two independent signals: their mean squares add. */
  add(name: string, a: Value, b: Value): Value {
    const meanSquare = this.meanSquare(a) + this.meanSquare(b);
    const reach = REACH * Math.sqrt(meanSquare);
    const type = this.type(a.shape, perTensor(-reach, reach));
    return this.sized(this.node("add", name, [a, b], type, { activation: "none" }), meanSquare);
  }

  classify(x: Value, classes: number): Value {
    const [batch, filterH, filterW, channels] = x.shape as MapShape;
    const attributes = { filterH, filterW, strideH: 1, strideW: 1, padTop: 0, padBottom: 0, padLeft: 0, padRight: 0, activation: "none" };
    const { dtype, quantization } = x;
    const pooled = this.node("averagePool2d", "average", [x], { dtype, quantization, shape: [batch, 1, 1, channels] }, attributes);
    // The mean of a rectified bell curve, squared, is 1/π of its mean square; averaging leaves little else.
    this.sized(pooled, this.meanSquare(x) / Math.PI);
    const weights = this.weights("logits_weights", pooled, [classes, channels], 0, channels, 1);
    const bias = this.bias("logits_bias", pooled, weights, classes, 0.5);
    const dense = { activation: "none", keepDims: false };
    const logits = this.node("fullyConnected", "logits", [pooled, weights, bias], this.resultType([batch, classes], "none"), dense);
    if (!this.probabilities) return logits;
    return this.node("softmax", "probabilities", [logits], this.type([batch, classes], { scales: [1 / 256], zeroPoints: [-128], axis: 0 }), {
      beta: 1,
    });
  }

  build(output: Value, description: string): Graph {
    this.builder.output(output);
    this.builder.note("description", `${description} Seeded weights: real sizes, no training.`);
    return this.builder.build();
  }
}
