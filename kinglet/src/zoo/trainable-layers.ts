import { elementCount, Xorshift32 } from "../base/index.ts";
import { type Attributes, type Graph, GraphBuilder, type Value } from "../graph/index.ts";
import { applyOp } from "../ops/index.ts";
import {
  checkOptions,
  type ConvSpec,
  type DepthwiseSpec,
  type Filter,
  type LayerActivation,
  type Layers,
  type MapShape,
  type NetworkOptions,
  sameWindow,
} from "./layers.ts";

/** Swish is x · logistic(x), also known as SiLU. */
export type TrainableActivation = LayerActivation | "hardSwish" | "swish";

/** A layer ends in batch normalization, or without it in a bias. */
interface Ending {
  readonly normalize?: boolean;
}

export interface TrainableConv extends ConvSpec<TrainableActivation>, Ending {
  /** Each group of outputs sees only its share of the input's channels; the default is 1 group. */
  readonly groups?: number;
}

export interface TrainableDense extends Ending {
  readonly units: number;
  readonly activation?: TrainableActivation;
}

/** What a layer of sums is made of, whichever operator forms them. */
interface Sums {
  readonly op: "conv2d" | "depthwiseConv2d" | "fullyConnected";
  readonly weights: readonly number[];
  /** How many products each sum has. */
  readonly fanIn: number;
  readonly channels: number;
  readonly attributes: Attributes;
  readonly activation: TrainableActivation;
  readonly normalize: boolean;
}

const NORM_EPSILON = 1e-3;

/** What an operator can do on its way out; the rest are nodes of their own. */
function fused(activation: TrainableActivation): LayerActivation {
  return activation === "hardSwish" || activation === "swish" ? "none" : activation;
}

/**
 * Writes float32 networks that can be trained: convolutions without bias, each with batch normalization, in which its activation
 * lies where an operator has it. Weights start bell-shaped with variance 2 / fan-in before a rectifier and 1 / fan-in elsewhere
 * (He et al., "Delving deep into rectifiers", ICCV 2015), scales and variances at 1, the rest at 0. Sums of uniform numbers
 * make the bell: a logarithm would not have the same bits on every machine.
 */
export class TrainableLayers implements Layers<TrainableActivation> {
  private readonly builder: GraphBuilder;
  private readonly random: Xorshift32;
  private readonly probabilities: boolean;
  private readonly scalars = new Map<number, Value>();

  /** @throws KingletError `misuse` for sizes that no network has. */
  constructor(name: string, options: NetworkOptions) {
    checkOptions(options);
    this.builder = new GraphBuilder(name);
    this.random = new Xorshift32(options.seed ?? 1);
    this.probabilities = options.probabilities ?? false;
  }

  /** An input of any shape. */
  input(name: string, shape: readonly number[]): Value {
    return this.builder.input(name, { dtype: "float32", shape });
  }

  /** Any operator, with the outputs that its shape rule gives; one has the node's name, several are numbered. */
  applyAll(op: string, name: string, inputs: readonly (Value | null)[], attributes: Attributes = {}): Value[] {
    return applyOp(this.builder, op, inputs, attributes, name);
  }

  apply(op: string, name: string, inputs: readonly (Value | null)[], attributes: Attributes = {}): Value {
    return this.applyAll(op, name, inputs, attributes)[0]!;
  }

  /** A constant of one number everywhere, or of one for each element. */
  filled(name: string, shape: readonly number[], value: number | ((element: number) => number)): Value {
    const data = Float32Array.from({ length: elementCount(shape) }, (_, i) => (typeof value === "number" ? value : value(i)));
    return this.builder.constant(name, { dtype: "float32", shape }, data);
  }

  /** A number of a formula, which is no parameter; every formula shares it. */
  scalar(name: string, value: number): Value {
    const known = this.scalars.get(value) ?? this.filled(name, [1], value);
    this.scalars.set(value, known);
    return known;
  }

  /** Bell-shaped weights of the given variance: three uniform numbers in [−1, 1) have a sum of variance 1. */
  bell(name: string, shape: readonly number[], variance: number): Value {
    const [random, deviation] = [this.random, Math.sqrt(variance)];
    const data = new Float32Array(elementCount(shape));
    for (let i = 0; i < data.length; i++) data[i] = deviation * (random.float() + random.float() + random.float());
    return this.builder.constant(name, { dtype: "float32", shape }, data);
  }

  private normalized(name: string, sums: Value, channels: number, activation: LayerActivation): Value {
    const [scale, offset] = [this.filled(`${name}_scale`, [channels], 1), this.filled(`${name}_offset`, [channels], 0)];
    const [mean, variance] = [this.filled(`${name}_mean`, [channels], 0), this.filled(`${name}_variance`, [channels], 1)];
    return this.apply("batchNorm", `${name}_norm`, [sums, scale, offset, mean, variance], { epsilon: NORM_EPSILON, activation });
  }

  private activated(name: string, x: Value, activation: TrainableActivation): Value {
    if (activation === "hardSwish") return this.apply("hardSwish", `${name}_hard_swish`, [x]);
    if (activation !== "swish") return x;
    return this.apply("mul", `${name}_swish`, [x, this.apply("logistic", `${name}_logistic`, [x])], { activation: "none" });
  }

  private layer(name: string, x: Value, { op, weights, fanIn, channels, attributes, activation, normalize }: Sums): Value {
    const w = this.bell(`${name}_weights`, weights, (activation === "none" ? 1 : 2) / fanIn);
    const inner = fused(activation);
    const bias = normalize ? null : this.filled(`${name}_bias`, [channels], 0);
    const sums = this.apply(op, name, [x, w, bias], { ...attributes, activation: normalize ? "none" : inner });
    return this.activated(name, normalize ? this.normalized(name, sums, channels, inner) : sums, activation);
  }

  conv(name: string, x: Value, { channels, filter = [1, 1], stride = 1, activation = "none", groups = 1, normalize = true }: TrainableConv): Value {
    const weights = [channels, ...filter, x.shape[3]! / groups];
    const fanIn = elementCount(weights.slice(1));
    return this.layer(name, x, { op: "conv2d", weights, fanIn, channels, attributes: sameWindow(x, filter, stride), activation, normalize });
  }

  depthwise(name: string, x: Value, { filter = [3, 3], stride = 1, activation = "none" }: DepthwiseSpec<TrainableActivation>): Value {
    const channels = x.shape[3]!;
    const attributes = { ...sameWindow(x, filter, stride), depthMultiplier: 1 };
    const weights = [1, ...filter, channels];
    return this.layer(name, x, { op: "depthwiseConv2d", weights, fanIn: filter[0] * filter[1], channels, attributes, activation, normalize: true });
  }

  /** Rows of [n, …] to [n, units]. */
  dense(name: string, x: Value, { units, activation = "none", normalize = false }: TrainableDense): Value {
    const fanIn = elementCount(x.shape.slice(1));
    const attributes = { keepDims: false };
    return this.layer(name, x, { op: "fullyConnected", weights: [units, fanIn], fanIn, channels: units, attributes, activation, normalize });
  }

  add(name: string, a: Value, b: Value, activation: LayerActivation = "none"): Value {
    return this.apply("add", name, [a, b], { activation });
  }

  /** A pool with "same" padding; positions outside do not count. */
  pool(name: string, x: Value, kind: "averagePool2d" | "maxPool2d", filter: Filter, stride: number): Value {
    const [filterH, filterW] = filter;
    return this.apply(kind, name, [x], { ...sameWindow(x, filter, stride), filterH, filterW, activation: "none" });
  }

  /** [n, h, w, c] to the averages [n, 1, 1, c]. */
  average(name: string, x: Value): Value {
    const [, filterH, filterW] = x.shape as MapShape;
    const unpadded = { strideH: 1, strideW: 1, padTop: 0, padBottom: 0, padLeft: 0, padRight: 0 };
    return this.apply("averagePool2d", name, [x], { ...unpadded, filterH, filterW, activation: "none" });
  }

  /** What a network is for: scores [n, classes], as probabilities if they were asked for. */
  logits(x: Value, classes: number, { bias = true }: { readonly bias?: boolean } = {}): Value {
    const fanIn = elementCount(x.shape.slice(1));
    const w = this.bell("logits_weights", [classes, fanIn], 1 / fanIn);
    const b = bias ? this.filled("logits_bias", [classes], 0) : null;
    const y = this.apply("fullyConnected", "logits", [x, w, b], { activation: "none", keepDims: false });
    return this.probabilities ? this.apply("softmax", "probabilities", [y], { beta: 1 }) : y;
  }

  classify(x: Value, classes: number): Value {
    return this.logits(this.average("average", x), classes);
  }

  build(output: Value, description: string): Graph {
    this.builder.output(output);
    this.builder.note("description", `${description} Seeded weights: no training.`);
    return this.builder.build();
  }
}
