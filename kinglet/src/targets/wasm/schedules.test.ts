import { describe, expect, it } from "vitest";
import { allocate, bytesOf, type DType, elementCount, type Shape, type TypedArray, Xorshift32 } from "../../base/index.ts";
import { execute } from "../../driver/index.ts";
import { type Attributes, type Graph, GraphBuilder, type Quantization, type Value, type ValueType } from "../../graph/index.ts";

const random = new Xorshift32(99);
const NO_PADDING = { padTop: 0, padBottom: 0, padLeft: 0, padRight: 0 };
const WINDOW = { strideH: 1, strideW: 1, dilationH: 1, dilationW: 1, ...NO_PADDING, activation: "none" };
const SAME = { padTop: 1, padBottom: 1, padLeft: 1, padRight: 1 };

function contents(dtype: DType, shape: Shape): TypedArray {
  const data = allocate(dtype, elementCount(shape));
  if (dtype === "float32") return (data as Float32Array).map(() => random.int(-1000, 1000) / 500);
  if (dtype === "int32") return (data as Int32Array).map(() => random.int(-3000, 3000));
  return (data as Int8Array).map(() => random.int(dtype === "uint8" ? 0 : -128, dtype === "uint8" ? 255 : 127));
}

function one(scale: number, zero: number): Quantization {
  return { scales: [scale], zeroPoints: [zero], axis: 0 };
}

/** How a network's numbers are stored: bytes with a zero point, or floats. */
interface Numbers {
  readonly dtype: "int8" | "uint8" | "float32";
  readonly zero: number;
}

class Net {
  readonly g = new GraphBuilder("net");
  private readonly numbers: Numbers;
  private count = 0;

  constructor(numbers: Numbers) {
    this.numbers = numbers;
  }

  private type(shape: Shape, scale: number, zero: number): ValueType {
    const { dtype } = this.numbers;
    return dtype === "float32" ? { dtype, shape } : { dtype, shape, quantization: one(scale, zero) };
  }

  input(shape: Shape): Value {
    return this.g.input(`x${this.count++}`, this.type(shape, 0.05, this.numbers.zero));
  }

  private weights(shape: Shape, axis: number): Value {
    const { dtype } = this.numbers;
    const channels = shape[axis]!;
    const scales = Array.from({ length: channels }, (_, c) => 0.002 + (c % 7) * 0.0003);
    const quantization: Quantization | undefined =
      dtype === "float32" ? undefined : dtype === "uint8" ? one(0.003, 131) : { scales, zeroPoints: scales.map(() => 0), axis };
    return this.g.constant(`w${this.count++}`, { dtype, shape, ...(quantization === undefined ? {} : { quantization }) }, contents(dtype, shape));
  }

  /** A layer with constant weights, and a bias where `bias` says so. */
  layer(op: string, x: Value, w: Shape, out: Shape, attributes: Attributes, bias = true): Value {
    const dtype = this.numbers.dtype === "float32" ? "float32" : "int32";
    const channels = out[out.length - 1]!;
    const b = bias ? this.g.constant(`b${this.count++}`, { dtype, shape: [channels] }, contents(dtype, [channels])) : null;
    return this.node(op, [x, this.weights(w, op === "depthwiseConv2d" ? 3 : 0), b], out, attributes);
  }

  node(op: string, inputs: (Value | null)[], out: Shape, attributes: Attributes): Value {
    const y = this.g.value(`y${this.count++}`, this.type(out, 0.15, this.numbers.dtype === "uint8" ? 120 : Math.trunc(-this.numbers.zero / 2)));
    this.g.node(op, inputs, [y], attributes);
    return y;
  }

  build(...outputs: Value[]): Graph {
    for (const y of outputs) this.g.output(y);
    return this.g.build();
  }
}

/** Runs both ways, three times; gives the names of the functions. */
async function expectSame(graph: Graph): Promise<string[]> {
  const samples = Array.from({ length: 3 }, () => graph.inputs.map(({ dtype, shape }) => bytesOf(contents(dtype, shape)).slice()));
  const [fast, dots, plain] = [
    await execute(graph, "wasm", samples),
    await execute(graph, "wasm-dots", samples),
    await execute(graph, "plain", samples),
  ];
  expect(fast.outputs).toEqual(plain.outputs);
  expect(dots.outputs).toEqual(plain.outputs);
  expect(new Set(plain.outputs[0]![0]).size).toBeGreaterThan(1);
  return fast.compiled.program.functions.map((func) => func.name);
}

/** Input, weights, output, attributes. */
type Case = [name: string, x: Shape, w: Shape, y: Shape, attributes: Attributes];

const CONV: Case[] = [
  ["1x1, odd number of pixels", [1, 5, 5, 16], [8, 1, 1, 16], [1, 5, 5, 8], {}],
  ["1x1, ragged depth and channels", [2, 3, 3, 13], [11, 1, 1, 13], [2, 3, 3, 11], { activation: "relu" }],
  ["1x1 with few channels", [1, 4, 4, 6], [3, 1, 1, 6], [1, 4, 4, 3], {}],
  ["1x1, stride 2", [1, 6, 6, 8], [16, 1, 1, 8], [1, 3, 3, 16], { strideH: 2, strideW: 2 }],
  ["one pixel, wide", [1, 1, 1, 24], [40, 1, 1, 24], [1, 1, 1, 40], { activation: "relu6" }],
  ["3x3 of 3 channels, padded, stride 2", [1, 11, 9, 3], [10, 3, 3, 3], [1, 6, 5, 10], { ...SAME, strideH: 2, strideW: 2 }],
  [
    "10x4 first layer of a keyword net",
    [1, 25, 10, 1],
    [12, 10, 4, 1],
    [1, 13, 5, 12],
    { strideH: 2, strideW: 2, padTop: 4, padBottom: 5, padLeft: 1, padRight: 1 },
  ],
  ["wide padding: whole windows outside", [1, 2, 2, 5], [9, 2, 2, 5], [1, 8, 8, 9], { padTop: 3, padBottom: 4, padLeft: 3, padRight: 4 }],
  [
    "rows and columns dilated",
    [2, 9, 8, 4],
    [8, 3, 2, 4],
    [2, 7, 6, 8],
    { dilationH: 3, dilationW: 2, padTop: 2, padBottom: 2, activation: "relu6" },
  ],
  ["more weights than lie close", [1, 3, 3, 256], [600, 1, 1, 256], [1, 3, 3, 600], { activation: "relu" }],
];
const DEPTHWISE: Case[] = [
  ["8 channels, padded", [1, 5, 6, 8], [1, 3, 3, 8], [1, 5, 6, 8], SAME],
  ["19 channels, stride 2", [2, 7, 7, 19], [1, 3, 3, 19], [2, 4, 4, 19], { strideH: 2, strideW: 2, ...SAME, activation: "relu6" }],
  ["16 channels, dilated", [1, 9, 9, 16], [1, 3, 5, 16], [1, 5, 1, 16], { dilationH: 2, dilationW: 2 }],
  ["columns of five taps", [1, 8, 7, 11], [1, 5, 3, 11], [1, 4, 5, 11], { activation: "relu" }],
  ["columns that neighbours do not share", [1, 5, 9, 9], [1, 3, 2, 9], [1, 3, 4, 9], { strideW: 2 }],
  ["an even number of taps", [1, 6, 1, 12], [1, 4, 1, 12], [1, 3, 1, 12], { activation: "relu" }],
];
const DENSE: Case[] = [
  ["one row", [1, 64], [40, 64], [1, 40], { activation: "relu" }],
  ["three ragged rows", [3, 21], [13, 21], [3, 13], { activation: "relu" }],
  ["few outputs", [2, 9], [2, 9], [2, 2], {}],
];
const NUMBERS: [string, Numbers][] = [
  ["int8, zero point -128", { dtype: "int8", zero: -128 }],
  ["int8, zero point 5", { dtype: "int8", zero: 5 }],
  ["uint8", { dtype: "uint8", zero: 117 }],
  ["float32", { dtype: "float32", zero: 0 }],
];

describe.each(NUMBERS)("vector schedules of %s give exactly the plain result", (_, numbers) => {
  it.each(CONV)("conv2d: %s", async (_name, x, w, y, attributes) => {
    const net = new Net(numbers);
    const names = await expectSame(net.build(net.layer("conv2d", net.input(x), w, y, { ...WINDOW, ...attributes })));
    expect(names.some((name) => /^conv2d_.*_simd$/.test(name))).toBe(true);
  });

  it.each(DEPTHWISE)("depthwiseConv2d: %s", async (_name, x, w, y, attributes) => {
    const net = new Net(numbers);
    const names = await expectSame(
      net.build(net.layer("depthwiseConv2d", net.input(x), w, y, { ...WINDOW, depthMultiplier: 1, ...attributes }, false)),
    );
    expect(names.some((name) => /^depthwise_conv2d_.*_simd$/.test(name))).toBe(true);
  });

  it.each(DENSE)("fullyConnected: %s", async (_name, x, w, y, attributes) => {
    const net = new Net(numbers);
    const names = await expectSame(
      net.build(net.layer("fullyConnected", net.input(x), w, y, { activation: "none", keepDims: false, ...attributes })),
    );
    expect(names.some((name) => /^fully_connected_.*_simd$/.test(name))).toBe(true);
  });

  it("a network whose values are read with different borders, and plainly", async () => {
    const net = new Net(numbers);
    const x = net.input([1, 7, 6, 8]);
    const a = net.layer("conv2d", x, [9, 3, 3, 8], [1, 7, 6, 9], { ...WINDOW, ...SAME, activation: "relu" });
    const b = net.layer("depthwiseConv2d", a, [1, 5, 5, 9], [1, 7, 6, 9], {
      ...WINDOW,
      padTop: 2,
      padBottom: 2,
      padLeft: 2,
      padRight: 2,
      depthMultiplier: 1,
    });
    const c = net.layer("conv2d", a, [9, 1, 1, 9], [1, 7, 6, 9], WINDOW, false);
    const sum = net.node("add", [b, c], [1, 7, 6, 9], { activation: "relu" });
    const pooled = net.node("averagePool2d", [sum], [1, 3, 3, 9], { ...WINDOW, filterH: 3, filterW: 2, strideH: 2, strideW: 2 });
    const most = net.node("maxPool2d", [sum], [1, 3, 3, 9], { ...WINDOW, filterH: 3, filterW: 2, strideH: 2, strideW: 2 });
    const d = net.layer("conv2d", sum, [8, 3, 3, 9], [1, 7, 6, 8], { ...WINDOW, ...SAME });
    const flat = net.layer("fullyConnected", sum, [12, 378], [1, 12], { activation: "none", keepDims: false });
    const names = await expectSame(net.build(d, pooled, most, flat, a));
    expect(names.filter((name) => /^add_.*_simd$/.test(name))).toHaveLength(1);
  });
});

it("weights that are not finite are left to the plain loops, where padding is not multiplied", async () => {
  const g = new GraphBuilder("infinite");
  const x = g.input("x", { dtype: "float32", shape: [1, 4, 4, 4] });
  const w = g.constant("w", { dtype: "float32", shape: [8, 3, 3, 4] }, contents("float32", [8, 3, 3, 4]));
  (w.data as Float32Array)[5] = Infinity;
  const y = g.value("y", { dtype: "float32", shape: [1, 4, 4, 8] });
  g.node("conv2d", [x, w, null], [y], { ...WINDOW, ...SAME });
  g.output(y);
  const names = await expectSame(g.build());
  expect(names.every((name) => !name.endsWith("_simd"))).toBe(true);
});
