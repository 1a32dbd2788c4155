import { type DType, Xorshift32 } from "../../base/index.ts";
import { type Attributes, type Graph, GraphBuilder, type Value, type ValueType } from "../../graph/index.ts";

export const WINDOW = { strideH: 1, strideW: 1, dilationH: 1, dilationW: 1, padTop: 0, padBottom: 0, padLeft: 0, padRight: 0, activation: "none" };

/** Small floating-point networks for tests: seeded weights between −1 and 1. */
export class TestNetwork {
  readonly builder: GraphBuilder;
  private readonly random: Xorshift32;

  constructor(name: string, seed = 9) {
    this.builder = new GraphBuilder(name);
    this.random = new Xorshift32(seed);
  }

  floats(count: number): Float32Array {
    return Float32Array.from({ length: count }, () => this.random.float());
  }

  input(shape: number[]): Value {
    return this.builder.input("x", { dtype: "float32", shape });
  }

  constant(name: string, shape: number[], data?: Float32Array): Value {
    return this.builder.constant(name, { dtype: "float32", shape }, data ?? this.floats(shape.reduce((p, d) => p * d, 1)));
  }

  node(op: string, inputs: readonly (Value | null)[], shape: number[], attributes: Attributes = {}, dtype: DType = "float32"): Value {
    const type: ValueType = { dtype, shape };
    const y = this.builder.value(`${op} result`, type);
    this.builder.node(op, inputs, [y], attributes);
    return y;
  }

  /** A 1x1 convolution to so many channels. */
  conv(x: Value, channels: number, activation: string, data?: Float32Array): Value {
    const [n, h, w, c] = x.shape as [number, number, number, number];
    const inputs = [x, this.constant("w", [channels, 1, 1, c], data), this.constant("b", [channels])];
    return this.node("conv2d", inputs, [n, h, w, channels], { ...WINDOW, activation });
  }

  finish(...outputs: Value[]): Graph {
    for (const value of outputs) this.builder.output(value);
    return this.builder.build();
  }
}

/** Three layers of which the first two have a channel scaled by 1000 against the others: what one multiplies by, the next divides. */
export function imbalanced(factor: number): Graph {
  const net = new TestNetwork("imbalanced");
  const x = net.input([1, 6, 6, 4]);
  const first = net.floats(8 * 4);
  const second = net.floats(8 * 8);
  for (let k = 0; k < 4; k++) first[k]! *= factor;
  for (let o = 0; o < 8; o++) second[o * 8]! /= factor;
  const y = net.conv(net.conv(net.conv(x, 8, "relu", first), 8, "relu", second), 5, "none");
  return net.finish(y);
}

/** One channel of the first layer has weights 1000 times the others', but a ReLU6 keeps all activations below 6. */
export function clipped(factor: number): Graph {
  const net = new TestNetwork("clipped");
  const x = net.input([1, 6, 6, 4]);
  const first = net.floats(8 * 4);
  for (let k = 0; k < 4; k++) first[k]! *= factor;
  return net.finish(net.conv(net.conv(net.conv(x, 8, "relu6", first), 8, "relu6"), 5, "none"));
}
