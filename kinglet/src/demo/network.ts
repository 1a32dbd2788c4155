import { bytesOf, type TypedArray, Xorshift32 } from "../base/index.ts";
import { type Graph, GraphBuilder, type Quantization, type Value, type ValueType } from "../graph/index.ts";
import { execute } from "../driver/index.ts";

/** Channels of every block, and words that the network tells apart (ten words, silence, unknown). */
const CHANNELS = 64;
const WORDS = 12;
const INPUT_SHAPE = [1, 49, 10, 1];

/** Smallest and largest real number that each value took, by name. */
type Ranges = ReadonlyMap<string, { readonly low: number; readonly high: number }>;

/** Features of sounds look like a few smooth bands over time with some noise on top; a seed gives one of them. */
function sampleFeatures(seed: number): Float32Array {
  const random = new Xorshift32(seed);
  const [speed, phase, tilt] = [0.1 + 0.08 * random.float(), 3 * random.float(), 0.5 * random.float()];
  return Float32Array.from({ length: 490 }, (_, i) => {
    const [frame, band] = [Math.floor(i / 10), i % 10];
    const envelope = Math.exp(-(((frame - 24) / 14) ** 2));
    return 30 * envelope * Math.sin(speed * frame * (1 + band * 0.3) + phase) + 8 * tilt * (band - 5) + 4 * random.float();
  });
}

/** Affine quantization of a range to int8; the range is made to hold 0. */
function int8Quantization(low: number, high: number): Quantization {
  const [from, to] = [Math.min(low, 0), Math.max(high, 1e-3)];
  const scale = Math.fround((to - from) / 255);
  return { scales: [scale], zeroPoints: [Math.round(-128 - from / scale)], axis: 0 };
}

/** Writes the network layer by layer, once in single precision to learn the ranges and then in int8. */
class Spotter {
  private readonly builder: GraphBuilder;
  private readonly random = new Xorshift32(20_17);
  private readonly ranges: Ranges | null;

  constructor(ranges: Ranges | null) {
    this.ranges = ranges;
    this.builder = new GraphBuilder(ranges === null ? "keyword spotter, float" : "keyword_spotter");
  }

  private type(name: string, shape: readonly number[]): ValueType {
    if (this.ranges === null) return { dtype: "float32", shape };
    const { low, high } = this.ranges.get(name)!;
    return { dtype: "int8", shape, quantization: int8Quantization(low, high) };
  }

  input(): Value {
    return this.builder.input("features", this.type("features", INPUT_SHAPE));
  }

  /** Bell-shaped int8 weights, with a scale for every output channel that keeps the signal's size from layer to layer. */
  private weights(name: string, shape: readonly number[], axis: number, fanIn: number): Value {
    const channels = shape[axis]!;
    const spread = Math.sqrt(2 / fanIn) / 46;
    const scales = Array.from({ length: channels }, () => Math.fround(spread * (1 + 0.3 * this.random.float())));
    const length = shape.reduce((product, dim) => product * dim, 1);
    const stored = Int8Array.from({ length }, () => this.random.int(-42, 42) + this.random.int(-42, 42) + this.random.int(-42, 42));
    if (this.ranges !== null)
      return this.builder.constant(name, { dtype: "int8", shape, quantization: { scales, zeroPoints: scales.map(() => 0), axis } }, stored);
    const channelOf = (i: number): number => (axis === 0 ? Math.floor(i / (length / channels)) : i % channels);
    return this.builder.constant(
      name,
      { dtype: "float32", shape },
      Float32Array.from(stored, (w, i) => w * scales[channelOf(i)]!),
    );
  }

  private bias(name: string, x: Value, w: Value, channels: number): Value {
    const real = Float32Array.from({ length: channels }, () => 2 * this.random.float());
    if (this.ranges === null) return this.builder.constant(name, { dtype: "float32", shape: [channels] }, real);
    const scales = w.quantization!.scales.map((scale) => scale * x.quantization!.scales[0]!);
    const quantization = { scales, zeroPoints: scales.map(() => 0), axis: 0 };
    return this.builder.constant(
      name,
      { dtype: "int32", shape: [channels], quantization },
      Int32Array.from(real, (b, i) => Math.round(b / scales[i]!)),
    );
  }

  private finish(
    op: string,
    name: string,
    inputs: readonly Value[],
    shape: readonly number[],
    attributes: Record<string, number | string | boolean>,
  ): Value {
    const y = this.builder.value(name, this.type(name, shape));
    this.builder.node(op, inputs, [y], attributes, name);
    return y;
  }

  conv(name: string, x: Value, [h, w]: readonly [number, number], stride: number, shape: readonly number[]): Value {
    const pad = (length: number, out: number, size: number): [number, number] => {
      const total = Math.max(0, (out - 1) * stride + size - length);
      return [total >> 1, total - (total >> 1)];
    };
    const [padTop, padBottom] = pad(x.shape[1]!, shape[1]!, h);
    const [padLeft, padRight] = pad(x.shape[2]!, shape[2]!, w);
    const kernel = this.weights(`${name}_weights`, [CHANNELS, h, w, x.shape[3]!], 0, h * w * x.shape[3]!);
    const bias = this.bias(`${name}_bias`, x, kernel, CHANNELS);
    return this.finish("conv2d", name, [x, kernel, bias], shape, {
      strideH: stride,
      strideW: stride,
      padTop,
      padBottom,
      padLeft,
      padRight,
      activation: "relu",
    });
  }

  depthwise(name: string, x: Value): Value {
    const kernel = this.weights(`${name}_weights`, [1, 3, 3, CHANNELS], 3, 9);
    const bias = this.bias(`${name}_bias`, x, kernel, CHANNELS);
    const attributes = { strideH: 1, strideW: 1, padTop: 1, padBottom: 1, padLeft: 1, padRight: 1, activation: "relu", depthMultiplier: 1 };
    return this.finish("depthwiseConv2d", name, [x, kernel, bias], x.shape, attributes);
  }

  pool(name: string, x: Value): Value {
    const y = this.builder.value(name, { dtype: x.dtype, shape: [1, 1, 1, CHANNELS], quantization: x.quantization });
    const attributes = {
      filterH: x.shape[1]!,
      filterW: x.shape[2]!,
      strideH: 1,
      strideW: 1,
      padTop: 0,
      padBottom: 0,
      padLeft: 0,
      padRight: 0,
      activation: "none",
    };
    this.builder.node("averagePool2d", [x], [y], attributes, name);
    return y;
  }

  dense(name: string, x: Value): Value {
    const kernel = this.weights(`${name}_weights`, [WORDS, CHANNELS], 0, 4 * CHANNELS);
    const bias = this.bias(`${name}_bias`, x, kernel, WORDS);
    return this.finish("fullyConnected", name, [x, kernel, bias], [1, WORDS], { activation: "none", keepDims: false });
  }

  softmax(name: string, x: Value): Value {
    const shape = [1, WORDS];
    const quantization = { scales: [1 / 256], zeroPoints: [-128], axis: 0 };
    const y = this.builder.value(name, this.ranges === null ? { dtype: "float32", shape } : { dtype: "int8", shape, quantization });
    this.builder.node("softmax", [x], [y], { beta: 1 }, name);
    return y;
  }

  build(output: Value): Graph {
    this.builder.output(output);
    this.builder.note("description", "A keyword spotter of the DS-CNN shape with seeded weights: real sizes, no training.");
    return this.builder.build();
  }
}

function spotter(ranges: Ranges | null): Graph {
  const net = new Spotter(ranges);
  let x = net.conv("conv", net.input(), [10, 4], 2, [1, 25, 5, CHANNELS]);
  for (let block = 1; block <= 4; block++) {
    x = net.depthwise(`depthwise_${block}`, x);
    x = net.conv(`pointwise_${block}`, x, [1, 1], 1, x.shape);
  }
  return net.build(net.softmax("probabilities", net.dense("words", net.pool("average", x))));
}

function extend(ranges: Map<string, { low: number; high: number }>, name: string, contents: TypedArray): void {
  const range = ranges.get(name) ?? { low: 0, high: 0 };
  for (const x of contents as Float32Array) {
    range.low = Math.min(range.low, x);
    range.high = Math.max(range.high, x);
  }
  ranges.set(name, range);
}

/** Runs the float twin on seeded samples and notes how far every value reaches. */
async function learnRanges(seeds: readonly number[]): Promise<Ranges> {
  const graph = spotter(null);
  const ranges = new Map<string, { low: number; high: number }>();
  for (const seed of seeds) {
    const features = sampleFeatures(seed);
    extend(ranges, "features", features);
    const { values } = await execute(graph, "js", [[bytesOf(features)]], { values: true });
    for (const value of graph.values) {
      const bytes = values!.get(value.id);
      if (bytes !== undefined && value.name !== "features") extend(ranges, value.name, new Float32Array(bytes.slice().buffer));
    }
  }
  return ranges;
}

/**
 * A keyword spotter in the shape of the MLPerf Tiny benchmark's (49 frames of 10 features, four depthwise separable
 * blocks, 12 words). Its weights are seeded random numbers; its scales come from running a float twin.
 */
export async function keywordSpotter(): Promise<Graph> {
  return spotter(await learnRanges([1, 2, 3, 4]));
}

/** Seeded features as the network's int8 input. */
export function sampleInput(graph: Graph, seed: number): Uint8Array {
  const { scales, zeroPoints } = graph.inputs[0]!.quantization!;
  const stored = (x: number): number => Math.max(-128, Math.min(127, Math.round(x / scales[0]!) + zeroPoints[0]!));
  return bytesOf(Int8Array.from(sampleFeatures(seed), stored));
}
