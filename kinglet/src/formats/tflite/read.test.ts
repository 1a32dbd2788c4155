import { describe, expect, it } from "vitest";
import { KingletError } from "../../base/index.ts";
import type { Graph } from "../../graph/index.ts";
import { readTflite } from "./read.ts";
import { compressed, denseLevel, float32Bytes, int32Bytes, sparsity, type TestOperator, type TestTensor, testModel } from "./test-model.ts";

const f32 = (...shape: number[]): TestTensor => ({ type: "float32", shape });
const constant = (...numbers: number[]): TestTensor => ({ type: "int32", shape: [numbers.length], data: int32Bytes(...numbers) });

/** Tensor 0 in, the last tensor out, one operator between. */
function one(op: string, tensors: readonly TestTensor[], rest: Partial<TestOperator> = {}): Graph {
  const last = tensors.length - 1;
  const inputs = Array.from({ length: last }, (_, i) => i);
  return readTflite(testModel([{ tensors, inputs: [0], outputs: [last], operators: [{ op, inputs, outputs: [last], ...rest }] }]), "model");
}

function refusal(act: () => unknown): KingletError {
  try {
    act();
  } catch (error) {
    if (error instanceof KingletError) return error;
    throw error;
  }
  throw new Error("nothing was refused");
}

const constantData = (graph: Graph): number[] =>
  Array.from<number | bigint, number>(graph.values.find((value) => value.data !== undefined)!.data!, Number);

describe("constants", () => {
  it("unpacks int4, low nibble first, with sign", () => {
    const graph = one("ADD", [
      { type: "int8", shape: [3], scales: [1] },
      { type: "int4", shape: [3], data: Uint8Array.of(0x7f, 0x08), scales: [0.5] },
      { type: "int8", shape: [3], scales: [1] },
    ]);
    expect(constantData(graph)).toEqual([-1, 7, -8]);
    expect(graph.nodes[0]!.inputs[1]!.dtype).toBe("int8");
  });

  it("makes compressed rows dense", () => {
    const levels = [denseLevel(3), compressed([0, 1, 1, 3], [2, 0, 3])];
    const graph = one("ADD", [f32(3, 4), { ...f32(3, 4), data: float32Bytes(1, 2, 3), sparsity: sparsity([0, 1], [], levels) }, f32(3, 4)]);
    expect(constantData(graph)).toEqual([0, 0, 1, 0, 0, 0, 0, 0, 2, 0, 0, 3]);
  });

  it("makes blocks dense", () => {
    const levels = [denseLevel(2), compressed([0, 1, 2], [1, 0]), denseLevel(2)];
    const graph = one("ADD", [f32(2, 4), { ...f32(2, 4), data: float32Bytes(1, 2, 3, 4), sparsity: sparsity([0, 1, 2], [1], levels) }, f32(2, 4)]);
    expect(constantData(graph)).toEqual([0, 0, 1, 2, 3, 4, 0, 0]);
  });

  it("refuses a sparse index outside the tensor", () => {
    const levels = [denseLevel(3), compressed([0, 1, 1, 3], [2, 0, 4])];
    const error = refusal(() =>
      one("ADD", [f32(3, 4), { ...f32(3, 4), data: float32Bytes(1, 2, 3), sparsity: sparsity([0, 1], [], levels) }, f32(3, 4)]),
    );
    expect(error.code).toBe("bad-file");
    expect(error.place).toContain("tensor 1");
  });

  it("finds contents behind the FlatBuffer, and nothing behind the file", () => {
    const model = (offset: number): Uint8Array =>
      testModel([
        {
          tensors: [f32(2), { ...f32(2), external: { offset, size: 8 } }, f32(2)],
          inputs: [0],
          outputs: [2],
          operators: [{ op: "ADD", inputs: [0, 1], outputs: [2] }],
        },
      ]);
    const end = model(2).length;
    const file = Uint8Array.of(...model(end), ...float32Bytes(7, 8));
    expect(constantData(readTflite(file, "model"))).toEqual([7, 8]);
    expect(refusal(() => readTflite(file.subarray(0, end + 7), "model")).code).toBe("bad-file");
  });

  it("does not depend on the file's memory afterwards, a Node buffer's included", () => {
    const file = Buffer.from(
      testModel([
        {
          tensors: [f32(1), { ...f32(1), data: float32Bytes(3) }, f32(1)],
          inputs: [0],
          outputs: [2],
          operators: [{ op: "ADD", inputs: [0, 1], outputs: [2] }],
        },
      ]),
    );
    const graph = readTflite(file, "model");
    file.fill(0);
    expect(constantData(graph)).toEqual([3]);
  });

  it("widens half precision that the model dequantizes", () => {
    const tensors: TestTensor[] = [f32(2), { type: "float16", shape: [2], data: Uint8Array.of(0, 0x3c, 0, 0xc0) }, f32(2), f32(2)];
    const operators = [
      { op: "DEQUANTIZE", inputs: [1], outputs: [2] },
      { op: "ADD", inputs: [0, 2], outputs: [3] },
    ];
    const graph = readTflite(testModel([{ tensors, inputs: [0], outputs: [3], operators }]), "model");
    expect(graph.nodes.map((node) => node.op)).toEqual(["add"]);
    expect(constantData(graph)).toEqual([1, -2]);
  });

  it("works out shapes that the model computes", () => {
    const scalar: TestTensor = { type: "int32", shape: [] };
    const tensors: TestTensor[] = [
      f32(2, 6),
      { type: "int32", shape: [2] },
      constant(0),
      constant(1),
      constant(1),
      scalar,
      { ...scalar, data: int32Bytes(-1) },
      { type: "int32", shape: [2] },
      f32(2, 6),
    ];
    const operators: TestOperator[] = [
      { op: "SHAPE", inputs: [0], outputs: [1] },
      { op: "STRIDED_SLICE", inputs: [1, 2, 3, 4], outputs: [5], options: { 4: { int: 1 } } },
      { op: "PACK", inputs: [5, 6], outputs: [7] },
      { op: "RESHAPE", inputs: [0, 7], outputs: [8] },
    ];
    const graph = readTflite(testModel([{ tensors, inputs: [0], outputs: [8], operators }]), "model");
    expect(graph.nodes.map(({ op, attributes }) => [op, attributes])).toEqual([["reshape", { shape: [2, 6] }]]);
    expect(graph.values).toHaveLength(2);
  });
});

describe("open shapes", () => {
  it("are settled through reshape, concatenation and softmax", () => {
    const open = { ...f32(1, 1, 2), open: [1, -1, 2] };
    const tensors: TestTensor[] = [f32(1, 3, 4), constant(1, -1, 2), open, open, open];
    const operators: TestOperator[] = [
      { op: "RESHAPE", inputs: [0, 1], outputs: [2] },
      { op: "CONCATENATION", inputs: [2, 2], outputs: [3], options: { 0: { int: 1 } } },
      { op: "SOFTMAX", inputs: [3], outputs: [4], options: { 0: { float: 1 } } },
    ];
    const graph = readTflite(testModel([{ tensors, inputs: [0], outputs: [4], operators }]), "model");
    expect(graph.nodes.map((node) => node.outputs[0]!.shape)).toEqual([
      [1, 6, 2],
      [1, 12, 2],
      [1, 12, 2],
    ]);
  });

  it("are refused where they cannot be settled", () => {
    const error = refusal(() => one("SQUEEZE", [f32(1, 3), { ...f32(1), open: [-1] }]));
    expect([error.code, error.hint]).toEqual(["unsupported", "Export the model with fixed input shapes."]);
  });
});

describe("attributes", () => {
  it("turns SAME into rows and columns", () => {
    const weights: TestTensor = { ...f32(1, 3, 3, 1), data: float32Bytes(1, 1, 1, 1, 1, 1, 1, 1, 1) };
    const graph = one("CONV_2D", [f32(1, 6, 5, 1), weights, f32(1, 3, 3, 1)], {
      options: { 0: { byte: 0 }, 1: { int: 2 }, 2: { int: 2 }, 3: { byte: 3 } },
    });
    expect(graph.nodes[0]!.attributes).toEqual({
      strideH: 2,
      strideW: 2,
      padTop: 0,
      padBottom: 1,
      padLeft: 1,
      padRight: 1,
      dilationH: 1,
      dilationW: 1,
      activation: "relu6",
    });
    expect(graph.nodes[0]!.inputs).toHaveLength(3);
    expect(graph.nodes[0]!.inputs[2]).toBeNull();
  });

  it("resolves a strided slice with a negative stride, an ellipsis and a dropped axis", () => {
    const graph = one("STRIDED_SLICE", [f32(4, 3, 5), constant(-1, 0, 2), constant(0, 0, 3), constant(-2, 1, 1), f32(2, 3)], {
      options: { 1: { int: 1 }, 2: { int: 2 }, 4: { int: 4 } },
    });
    expect(graph.nodes[0]!.attributes).toEqual({ begin: [3, 0, 2], strides: [-2, 1, 1], shape: [2, 3, 1], newShape: [2, 3] });
  });

  it("counts negative axes from the end and sorts them", () => {
    expect(one("MEAN", [f32(2, 3, 4, 5), constant(-2, 1), f32(2, 5)]).nodes[0]!.attributes).toEqual({ axes: [1, 2], keepDims: false });
  });

  it("reads a padding value and the sizes of a split", () => {
    expect(
      one(
        "PADV2",
        [f32(2), constant(1, 2), { ...f32(1), data: float32Bytes(-0.5) }, f32(5)].map((t, i) => (i === 1 ? { ...t, shape: [1, 2] } : t)),
      ).nodes[0]!.attributes,
    ).toEqual({ before: [1], after: [2], value: -0.5 });
    const tensors = [f32(5), constant(2, 3), constant(0), f32(2), f32(3)];
    const graph = readTflite(
      testModel([{ tensors, inputs: [0], outputs: [3, 4], operators: [{ op: "SPLIT_V", inputs: [0, 1, 2], outputs: [3, 4] }] }]),
      "model",
    );
    expect(graph.nodes[0]!.attributes).toEqual({ axis: 0, sizes: [2, 3] });
  });

  it("keeps the quantized LSTM's inner scales", () => {
    const mid: TestTensor = { type: "int8", shape: [], scales: [0.25], zeroPoints: [3] };
    const inputs = [0, -1, 1, 1, 1, -1, 1, 1, 1, -1, -1, -1, -1, 2, 2, 2, -1, -1, 3, 4];
    const tensors: TestTensor[] = [
      f32(1, 1, 1),
      { ...f32(1, 1), data: float32Bytes(1) },
      { ...f32(1), data: float32Bytes(1) },
      { ...f32(1, 1), variable: true },
      { ...f32(1, 1), variable: true },
      f32(1, 1, 1),
      mid,
    ];
    const operators = [
      { op: "UNIDIRECTIONAL_SEQUENCE_LSTM", inputs, outputs: [5], intermediates: [6], options: { 0: { byte: 4 }, 1: { float: 10 } } },
    ];
    const node = readTflite(testModel([{ tensors, inputs: [0], outputs: [5], operators }]), "model").nodes[0]!;
    expect(node.inputs).toHaveLength(24);
    expect(node.inputs[18]!.variable).toBe(true);
    expect(node.attributes).toEqual({
      activation: "tanh",
      cellClip: 10,
      projClip: 0,
      timeMajor: false,
      intermediateScales: [0.25],
      intermediateZeroPoints: [3],
    });
  });
});

describe("variables", () => {
  const handle: TestTensor = { type: "resource", shape: [] };
  const name = { 1: { text: "state" } };
  const main = {
    tensors: [f32(2), handle, f32(2), f32(2)],
    inputs: [0],
    outputs: [3],
    operators: [
      { op: "CALL_ONCE", inputs: [], outputs: [], options: { 0: { int: 1 } } },
      { op: "VAR_HANDLE", inputs: [], outputs: [1], options: name },
      { op: "READ_VARIABLE", inputs: [1], outputs: [2] },
      { op: "ADD", inputs: [0, 2], outputs: [3] },
      { op: "ASSIGN_VARIABLE", inputs: [1, 3], outputs: [] },
    ],
  };
  const init = (op: string): Parameters<typeof testModel>[0][number] => ({
    tensors: [handle, { ...f32(2), data: float32Bytes(5, 6) }],
    inputs: [],
    outputs: [],
    operators: [
      { op: "VAR_HANDLE", inputs: [], outputs: [0], options: name },
      { op, inputs: [0, 1], outputs: [] },
    ],
  });

  it("become values with their first contents", () => {
    const graph = readTflite(testModel([main, init("ASSIGN_VARIABLE")]), "model");
    expect(graph.nodes.map((node) => node.op)).toEqual(["readVariable", "add", "assignVariable"]);
    const [state] = graph.values.filter((value) => value.variable);
    expect(state).toMatchObject({ name: "state", dtype: "float32", shape: [2], initial: Float32Array.of(5, 6) });
    expect(graph.nodes[0]!.inputs[0]).toBe(state);
    expect(graph.nodes[2]!.inputs[0]).toBe(state);
  });

  it("are refused where something other than a constant sets them up", () => {
    expect(refusal(() => readTflite(testModel([main, init("MUL")]), "model")).code).toBe("unsupported");
  });
});

describe("the file", () => {
  const relu = { tensors: [f32(2), f32(2)], inputs: [0], outputs: [1], operators: [{ op: "RELU", inputs: [0], outputs: [1] }] };

  it("keeps description, metadata, signatures and other subgraphs as text", () => {
    const signatures = [
      { key: "main", subgraph: 0 },
      { key: "train", subgraph: 1 },
    ];
    const graph = readTflite(testModel([relu, relu], { description: "a model", metadata: { labels: "cat\ndog" }, signatures }), "model");
    expect(graph.metadata).toEqual({
      description: "a model",
      labels: "cat\ndog",
      "signature main": '{"inputs":{"x":0},"outputs":{}}',
      "other subgraphs": "graph1",
    });
  });

  it("is refused once, naming every operator Kinglet lacks", () => {
    const op = (name: string, i: number): TestOperator => ({ op: name, inputs: [i], outputs: [i + 1] });
    const operators = [op("WHERE", 0), op("my_op", 1), op("WHERE", 2)];
    const error = refusal(() =>
      readTflite(testModel([{ tensors: [f32(2), f32(2), f32(2), f32(2)], inputs: [0], outputs: [3], operators }]), "model"),
    );
    expect(error.code).toBe("unsupported");
    expect(error.message).toContain('WHERE (2×, the size of its result depends on contents), custom operator "my_op" (1×)');
  });

  it.each([
    ["operators out of order", { ...relu, operators: [{ op: "RELU", inputs: [1], outputs: [1] }] }, "operator 0 (RELU)"],
    ["an empty dimension", { ...relu, tensors: [f32(2, 0), f32(2, 0)] }, "tensor 0"],
    ["a tensor that does not exist", { ...relu, outputs: [7] }, "subgraph 0"],
    ["contents that do not fit", { ...relu, tensors: [f32(2), f32(2), { ...f32(3), data: int32Bytes(1) }], outputs: [2] }, "tensor 2"],
  ])("is refused with %s", (_what, graph, place) => {
    const error = refusal(() => readTflite(testModel([graph]), "model"));
    expect(error.code).toBe("bad-file");
    expect(error.place).toContain(`model, ${place}`);
    expect(error.hint).toBeTruthy();
  });

  it("says what it cannot compute with", () => {
    const error = refusal(() => readTflite(testModel([{ ...relu, tensors: [{ type: "string", shape: [1] }, f32(1)] }]), "model"));
    expect([error.code, error.message]).toEqual(["unsupported", "the tensor holds string elements, which Kinglet cannot compute with"]);
  });
});
