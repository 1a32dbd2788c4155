import { describe, expect, it } from "vitest";
import { evaluate } from "../../targets/js/index.ts";
import { readOnnx } from "./read.ts";
import { floats, longs, type TestModel, type TestNode, type TestTensor, testOnnx } from "./test-model.ts";

const [FLOAT, UINT8, INT8, INT32, INT64] = [1, 2, 3, 6, 7];
const scalar = (name: string, value: number): TestTensor => ({ name, dims: [], type: FLOAT, raw: floats(value) });
const zero = (name: string, type: number, value: number): TestTensor => ({ name, dims: [], type, raw: Uint8Array.of(value & 255) });
const WEIGHTS = Int8Array.from({ length: 3 * 2 * 9 }, (_, i) => ((i * 29) % 255) - 127);
const BIAS = Int32Array.of(40, -300, 900);
const SCALES = [0.01, 0.02, 0.005];

const TENSORS: TestTensor[] = [
  scalar("xs", 0.05),
  zero("xz", UINT8, 120),
  { name: "w", dims: [3, 2, 3, 3], type: INT8, raw: new Uint8Array(WEIGHTS.buffer) },
  { name: "ws", dims: [3], type: FLOAT, raw: floats(...SCALES) },
  { name: "wz", dims: [3], type: INT8, raw: new Uint8Array(3) },
  { name: "b", dims: [3], type: INT32, raw: new Uint8Array(BIAS.buffer) },
  { name: "bs", dims: [3], type: FLOAT, raw: floats(...SCALES.map((s) => s * 0.05)) },
  scalar("ys", 0.4),
  zero("yz", UINT8, 100),
];
const X = Uint8Array.from({ length: 32 }, (_, i) => (i * 47) % 256);

const model = (nodes: readonly TestNode[]): TestModel => ({
  inputs: [{ name: "x", type: UINT8, dims: [1, 2, 4, 4] }],
  outputs: ["y"],
  tensors: TENSORS,
  nodes,
});

const QDQ: readonly TestNode[] = [
  { op: "DequantizeLinear", inputs: ["x", "xs", "xz"], outputs: ["xf"] },
  { op: "DequantizeLinear", inputs: ["w", "ws", "wz"], outputs: ["wf"], attributes: { axis: { int: 0 } } },
  { op: "DequantizeLinear", inputs: ["b", "bs"], outputs: ["bf"], attributes: { axis: { int: 0 } } },
  { op: "Conv", inputs: ["xf", "wf", "bf"], outputs: ["c"], attributes: { pads: { ints: [1, 1, 1, 1] } } },
  { op: "Relu", inputs: ["c"], outputs: ["r"] },
  { op: "QuantizeLinear", inputs: ["r", "ys", "yz"], outputs: ["y"] },
];

/** The convolution in plain numbers. */
function expected(relu: boolean): number[] {
  return Array.from({ length: 48 }, (_, i) => {
    const [o, row, column] = [Math.floor(i / 16), Math.floor((i % 16) / 4), i % 4];
    let sum = BIAS[o]!;
    for (let c = 0; c < 2; c++)
      for (let t = 0; t < 9; t++) {
        const [y, x] = [row + Math.floor(t / 3) - 1, column + (t % 3) - 1];
        if (y >= 0 && y < 4 && x >= 0 && x < 4) sum += (X[c * 16 + y * 4 + x]! - 120) * WEIGHTS[(o * 2 + c) * 9 + t]!;
      }
    const real = sum * 0.05 * SCALES[o]!;
    return Math.min(255, Math.max(0, Math.round((relu ? Math.max(0, real) : real) / 0.4) + 100));
  });
}

function farthest(nodes: readonly TestNode[], relu: boolean): { steps: number; ops: string[] } {
  const graph = readOnnx(testOnnx(model(nodes)), "quantized");
  const [y] = evaluate(graph, [X]);
  const want = expected(relu);
  return { steps: Math.max(...want.map((value, i) => Math.abs(Number(y![i]) - value))), ops: graph.nodes.map((node) => node.op) };
}

describe("quantized forms of ONNX", () => {
  it("makes an integer convolution of a float one between its QDQ nodes", () => {
    const { steps, ops } = farthest(QDQ, true);
    expect(steps).toBeLessThanOrEqual(1);
    expect(ops).toContain("conv2d");
    expect(ops).not.toContain("dequantize");
    expect(ops).not.toContain("div");
  });

  it("keeps a convolution in integers whose result is moved before it is quantized", () => {
    const nodes = QDQ.flatMap((node) =>
      node.op === "Relu"
        ? [
            { op: "Transpose", inputs: ["c"], outputs: ["t"], attributes: { perm: { ints: [0, 2, 3, 1] } } },
            { op: "Relu", inputs: ["t"], outputs: ["r0"] },
            { op: "Transpose", inputs: ["r0"], outputs: ["r"], attributes: { perm: { ints: [0, 3, 1, 2] } } },
          ]
        : [node],
    );
    const { steps, ops } = farthest(nodes, true);
    expect(steps).toBeLessThanOrEqual(1);
    expect(ops).not.toContain("dequantize");
  });

  it("gathers integers themselves", () => {
    const indices: TestTensor = { name: "i", dims: [2, 4], type: INT64, raw: longs(0, 1, 2, 3, 0, -1, -1, -1) };
    const nodes: TestNode[] = [
      { op: "DequantizeLinear", inputs: ["x", "xs", "xz"], outputs: ["xf"] },
      { op: "GatherND", inputs: ["xf", "i"], outputs: ["g"] },
      { op: "QuantizeLinear", inputs: ["g", "xs", "xz"], outputs: ["y"] },
    ];
    const graph = readOnnx(testOnnx({ ...model(nodes), tensors: [...TENSORS, indices] }), "quantized");
    expect([...evaluate(graph, [X])[0]!]).toEqual([X[16 + 11]!, X[31]!]);
    expect(graph.nodes.map((node) => node.op)).not.toContain("dequantize");
  });

  it("reads QLinearConv as the same integer convolution", () => {
    const inputs = ["x", "xs", "xz", "w", "ws", "wz", "ys", "yz", "b"];
    const { steps, ops } = farthest([{ op: "QLinearConv", inputs, outputs: ["y"], attributes: { pads: { ints: [1, 1, 1, 1] } } }], false);
    expect(steps).toBeLessThanOrEqual(1);
    expect(ops).not.toContain("div");
  });

  it("reads ONNX Runtime's QLinearAdd and QLinearGlobalAveragePool", () => {
    const nodes: TestNode[] = [
      { op: "QLinearAdd", domain: "com.microsoft", inputs: ["x", "xs", "xz", "x", "xs", "xz", "ys", "yz"], outputs: ["a"] },
      { op: "QLinearGlobalAveragePool", domain: "com.microsoft", inputs: ["a", "ys", "yz", "ys", "yz"], outputs: ["y"] },
    ];
    const graph = readOnnx(testOnnx(model(nodes)), "quantized");
    const [y] = evaluate(graph, [X]);
    const sums = Array.from(X, (value) => Math.round((2 * 0.05 * (value - 120)) / 0.4) + 100);
    const want = [0, 1].map((c) => sums.slice(c * 16, c * 16 + 16).reduce((a, b) => a + b, 0) / 16);
    want.forEach((value, c) => expect(Math.abs(Number(y![c]) - value)).toBeLessThanOrEqual(1.5));
    expect(graph.nodes.map((node) => node.op)).not.toContain("div");
  });

  it("averages a whole picture on the result's own scale, and windows in floats where the input's is too coarse", () => {
    for (const kernel of [4, 2]) {
      const tensors = [...TENSORS, scalar("fine", 0.01), zero("low", UINT8, 20)];
      const nodes: TestNode[] = [
        { op: "DequantizeLinear", inputs: ["x", "xs", "xz"], outputs: ["xf"] },
        {
          op: "AveragePool",
          inputs: ["xf"],
          outputs: ["a"],
          attributes: { kernel_shape: { ints: [kernel, kernel] }, strides: { ints: [kernel, kernel] } },
        },
        { op: "QuantizeLinear", inputs: ["a", "fine", "low"], outputs: ["y"] },
      ];
      const [y] = evaluate(readOnnx(testOnnx({ ...model(nodes), tensors }), "quantized"), [X]);
      const per = 4 / kernel;
      const want = Array.from({ length: 2 * per * per }, (_, i) => {
        const [c, row, column] = [Math.floor(i / (per * per)), Math.floor(i / per) % per, i % per];
        let sum = 0;
        for (let t = 0; t < kernel * kernel; t++)
          sum += X[c * 16 + (row * kernel + Math.floor(t / kernel)) * 4 + column * kernel + (t % kernel)]! - 120;
        return Math.min(255, Math.max(0, Math.round((0.05 * sum) / (kernel * kernel) / 0.01) + 20));
      });
      want.forEach((value, i) => expect(Math.abs(Number(y![i]) - value)).toBeLessThanOrEqual(1));
    }
  });

  it("computes in floats what has no form for integers of 16 bits", () => {
    const INT16 = 5;
    for (const op of ["HardSwish", "Elu", "LogSoftmax"]) {
      const zeroPoint: TestTensor = { name: "z", dims: [], type: INT16, raw: new Uint8Array(2) };
      const nodes: TestNode[] = [
        { op: "DequantizeLinear", inputs: ["x", "s", "z"], outputs: ["xf"] },
        { op, inputs: ["xf"], outputs: ["yf"] },
        { op: "QuantizeLinear", inputs: ["yf", "s", "z"], outputs: ["y"] },
      ];
      const inputs = [{ name: "x", type: INT16, dims: [1, 2] }];
      const graph = readOnnx(testOnnx({ opset: 21, inputs, outputs: ["y"], tensors: [scalar("s", 0.001), zeroPoint], nodes }), "wide");
      const [y] = evaluate(graph, [Int16Array.of(4000, -1000)]);
      const want = { HardSwish: [4, -1 * (2 / 6)], Elu: [4, Math.expm1(-1)], LogSoftmax: [-Math.log1p(Math.exp(-5)), -5 - Math.log1p(Math.exp(-5))] }[
        op
      ]!;
      expect([...y!], op).toEqual(want.map((real) => Math.round(real / 0.001)));
    }
  });
});
