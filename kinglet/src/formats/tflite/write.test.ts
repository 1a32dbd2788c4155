import { describe, expect, it } from "vitest";
import { bytesOf, KingletError, Xorshift32 } from "../../base/index.ts";
import { execute, quantizeNetwork, type Sample, seededSample } from "../../driver/index.ts";
import { type Graph, GraphBuilder } from "../../graph/index.ts";
import { caseGraph, OPS } from "../../ops/index.ts";
import { prepareForQuantization, quantizeDynamic, roundToFloat16 } from "../../passes/index.ts";
import { dsCnn, gru, mlp, resnet8, ZOO } from "../../zoo/index.ts";
import { caseType, type Counts, countsOf, shows } from "../../driver/support-testing.ts";
import { comparable, comparableAttributes } from "../graph-testing.ts";
import { Model } from "./model.ts";
import { rowOf, rowsFor } from "./operators.ts";
import { readTflite } from "./read.ts";
import { BUFFER } from "./schema.ts";
import { writeTflite } from "./write.ts";

const again = (graph: Graph): Graph => readTflite(writeTflite(graph), graph.name);

function refusal(graph: Graph): KingletError {
  try {
    writeTflite(graph);
  } catch (error) {
    if (error instanceof KingletError) return error;
    throw error;
  }
  throw new Error("nothing was refused");
}

const f32 = (...shape: number[]) => ({ dtype: "float32" as const, shape });

/** One node of floats between an input and an output, with constants of small numbers as further inputs. */
function one(op: string, shape: number[], constants: readonly number[][], output: number[], attributes: Graph["nodes"][0]["attributes"]): Graph {
  const b = new GraphBuilder("one");
  const x = b.input("x", f32(...shape));
  const random = new Xorshift32(3);
  const numbers = (length: number): Float32Array => Float32Array.from({ length }, () => Math.fround(1 + random.float() / 2));
  const given = constants.map((dims, i) => b.constant(`c${i}`, f32(...dims), numbers(dims.reduce((p, d) => p * d, 1))));
  const y = b.value("y", f32(...output));
  b.node(op, [x, ...given], [y], attributes);
  b.output(y);
  return b.build();
}

/** Both graphs on the same sample, by the plain loops. */
async function expectSameResults(a: Graph, b: Graph, sample: Sample = seededSample(a, 1)): Promise<void> {
  const [left, right] = [await execute(a, "plain", [sample]), await execute(b, "plain", [sample])];
  left.outputs[0]!.forEach((bytes, i) => {
    const [p, q] = [bytes, right.outputs[0]![i]!].map((each) => new Float32Array(each.slice().buffer));
    p!.forEach((x, k) => expect(Math.abs(x - q![k]!)).toBeLessThanOrEqual(1e-5 * Math.max(1, Math.abs(x))));
  });
}

const WINDOW = { strideH: 2, strideW: 2, dilationH: 1, dilationW: 1, padTop: 1, padBottom: 1, padLeft: 1, padRight: 1, activation: "none" };

describe("networks of Kinglet's own read back as they were written", () => {
  it.each(["mobilenet_v1_0.25_128", "mobilenet_v1_0.25_128_float", "mobilenet_v2_0.35_144"])("%s", (name) => {
    const graph = ZOO[name]!();
    expect(comparable(again(graph))).toEqual(comparable(graph));
  });

  const trainable: Record<string, () => Graph> = { ds_cnn: () => dsCnn({ size: [16, 10] }), resnet8: () => resnet8({ resolution: 16 }), gru, mlp };
  it.each(Object.keys(trainable))("%s in floats, int8, 16x8, with int8 and with half-precision weights", (name) => {
    const graph = prepareForQuantization(trainable[name]!());
    const samples = [1, 2].map((seed) => seededSample(graph, seed));
    const forms = [
      graph,
      quantizeNetwork(graph, samples, { io: "int8" }).graph,
      quantizeNetwork(graph, samples, { activations: "int16" }).graph,
      quantizeDynamic(graph),
      roundToFloat16(graph),
    ];
    for (const form of forms) expect(comparable(again(form))).toEqual(comparable(form));
  });
});

describe("every operator's own examples", () => {
  const written = Object.values(OPS).filter(({ name }) => rowsFor(name).length > 0);

  /** A cell's state starts with zeros in a file. */
  function startingAtRest(graph: Graph): Graph {
    const rest = new Map(graph.values.map((value) => [value.id, { ...value, initial: undefined }]));
    const nodes = graph.nodes.map((node) => ({ ...node, inputs: node.inputs.map((value) => value && rest.get(value.id)!) }));
    return { ...graph, values: [...rest.values()], nodes, outputs: nodes.flatMap((node) => node.outputs) };
  }

  /** All but constants: a bias of zeros, and a scale for each channel, are what runtimes want beside integers. */
  function spelling({ nodes }: Graph): unknown {
    const types = (values: Graph["nodes"][0]["inputs"]): unknown =>
      values.flatMap((value) => (value && !value.data ? [[value.dtype, value.shape]] : []));
    return nodes.map(({ op, attributes, inputs, outputs }) => [op, comparableAttributes(attributes), types(inputs), types(outputs)]);
  }

  /** Types of the cases that one operator of the file holds, by its name. */
  const counted = (held: ReadonlyMap<string, readonly string[]>): Record<string, Counts> =>
    Object.fromEntries([...held].map(([operator, types]) => [operator, countsOf(types)]));

  it.for(written.map(({ name }) => name))("%s reads back, in other words at most, or is refused", (name, context) => {
    const op = OPS[name as keyof typeof OPS];
    const held = new Map<string, string[]>();
    for (const example of op.cases) {
      const graph = startingAtRest(caseGraph({ ...op, cases: [example] }, new Xorshift32(5)).graph);
      try {
        const file = writeTflite(graph);
        const back = readTflite(file, graph.name);
        if (back.nodes.length !== graph.nodes.length) continue;
        expect(spelling(back), example.name).toEqual(spelling(graph));
        const { kind } = new Model(file, name).subgraph(0).operators.find((operator) => rowOf(operator.kind)?.op === name)!;
        held.set(kind.name, [...(held.get(kind.name) ?? []), caseType(example)]);
      } catch (error) {
        if (!(error instanceof KingletError) || error.code !== "unsupported") throw error;
      }
    }
    expect(held.size).toBeGreaterThan(0);
    shows(context, { suite: "tflite", way: "file", rows: counted(held) });
  });

  it.each(["averagePool2d", "maxPool2d"])("%s reads back with either padding", (op) => {
    const valid = { ...WINDOW, padTop: 0, padBottom: 0, padLeft: 0, padRight: 0, filterH: 3, filterW: 3, activation: "relu6" };
    for (const graph of [
      one(op, [1, 7, 7, 2], [], [1, 3, 3, 2], valid),
      one(op, [1, 6, 6, 2], [], [1, 3, 3, 2], { ...valid, padBottom: 1, padRight: 1 }),
    ])
      expect(comparable(again(graph))).toEqual(comparable(graph));
  });
});

describe("the file", () => {
  const graph = prepareForQuantization(dsCnn({ size: [16, 10] }));

  it("has the same bytes each time", () => {
    expect(writeTflite(graph)).toEqual(writeTflite(prepareForQuantization(dsCnn({ size: [16, 10] }))));
  });

  it("keeps every content at a multiple of 16 bytes, each once", () => {
    const b = new GraphBuilder("twice");
    const x = b.input("x", f32(2, 5));
    const [once, twice] = [1, 2].map((n) =>
      b.constant(
        `w${n}`,
        f32(5, 5),
        Float32Array.from({ length: 25 }, (_, i) => i),
      ),
    );
    const [y, z] = [b.value("y", f32(2, 5)), b.value("z", f32(2, 5))];
    b.node("fullyConnected", [x, once!], [y], { activation: "none", keepDims: true });
    b.node("fullyConnected", [y, twice!], [z], { activation: "none", keepDims: true });
    b.output(z);
    for (const network of [b.build(), graph]) {
      const model = new Model(writeTflite(network), "model");
      const contents = model.root.tables(4, "buffer").map((table) => table.data(BUFFER.data));
      for (const bytes of contents) if (bytes !== null) expect((bytes.byteOffset - model.file.bytes.byteOffset) % 16).toBe(0);
      const different = new Set(contents.filter((bytes) => bytes !== null).map((bytes) => Buffer.from(bytes!).toString("hex")));
      expect(contents).toHaveLength(different.size + 1);
      if (network.name === "twice") expect(different.size).toBe(1);
    }
  });

  it("holds weights in half precision where they lose nothing by it", () => {
    const half = roundToFloat16(graph);
    expect(writeTflite(half).length / writeTflite(graph).length).toBeLessThan(0.65);
    expect(new Model(writeTflite(half), "half").subgraph(0).tensors.some(({ stored }) => stored === "float16")).toBe(true);
    expect(new Model(writeTflite(graph), "single").subgraph(0).tensors.some(({ stored }) => stored === "float16")).toBe(false);
  });

  it("names every node that it cannot hold, once", () => {
    const b = new GraphBuilder("features");
    const x = b.input("x", f32(1, 4, 4, 1));
    const [frames, y, z] = ["frames", "y", "z"].map((name) => b.value(name, f32(1, 4, 4, 1)));
    b.node("spectrumPower", [x], [frames!], {}, "power");
    b.node("averagePool2d", [frames!], [y!], { ...WINDOW, strideH: 1, strideW: 1, filterH: 3, filterW: 3, padTop: 2, padBottom: 0 }, "pool");
    b.node("spectrumPower", [y!], [z!], {}, "again");
    b.output(z!);
    const error = refusal(b.build());
    expect(error.code).toBe("unsupported");
    expect(error.message).toContain('spectrumPower "power", spectrumPower "again": TensorFlow Lite has no such operator');
    expect(error.message).toContain('averagePool2d "pool": TensorFlow Lite\'s operator cannot do this');
  });

  it("refuses a state that a tensor cannot start with", () => {
    const op = OPS.svdf;
    const { graph: cell } = caseGraph({ ...op, cases: [op.cases[0]!] }, new Xorshift32(5));
    expect(refusal(cell).message).toContain("its state starts with other numbers than zeros");
  });

  it("keeps what variables start with, and reads zeros as nothing", () => {
    const b = new GraphBuilder("states");
    const x = b.input("x", f32(1, 2));
    const started = b.variable("state", f32(1, 2), Float32Array.of(5, 6));
    const plain = b.variable("state", f32(1, 2));
    const numbered = b.variable("state_1", f32(1, 2), Float32Array.of(7, 8));
    let last = x;
    for (const state of [started, plain, numbered]) {
      const [read, sum] = [b.value("read", f32(1, 2)), b.value("sum", f32(1, 2))];
      b.node("readVariable", [state], [read]);
      b.node("add", [last, read], [sum], { activation: "none" });
      b.node("assignVariable", [state, sum], []);
      last = sum;
    }
    b.output(last);
    const variables = again(b.build()).values.filter((value) => value.variable);
    expect(variables.map(({ name, initial }) => [name, initial])).toEqual([
      ["state", Float32Array.of(5, 6)],
      ["state_1", undefined],
      ["state_1_1", Float32Array.of(7, 8)],
    ]);
  });
});

describe("what the format has no word for becomes several operators that mean the same", () => {
  const norm = { epsilon: 0.001, activation: "relu" };
  const conv = one("conv2d", [1, 6, 6, 2], [[3, 3, 3, 2], [3]], [1, 3, 3, 3], WINDOW);
  const slice = { begin: [0, 1, 0], strides: [1, 1, 1], shape: [2, 3, 4], newShape: [4, 6] };
  it.each<[string, Graph, string[]]>([
    ["batch normalization", one("batchNorm", [1, 3, 3, 2], [[2], [2], [2], [2]], [1, 3, 3, 2], norm), ["mul", "add"]],
    [
      "one that ends in a hyperbolic tangent",
      one("batchNorm", [1, 3, 3, 2], [[2], [2], [2], [2]], [1, 3, 3, 2], { ...norm, activation: "tanh" }),
      ["mul", "add", "tanh"],
    ],
    ["a border that is neither SAME nor VALID", conv, ["pad", "conv2d"]],
    ["that of a maximum", one("maxPool2d", [1, 6, 6, 2], [], [1, 3, 3, 2], { ...WINDOW, filterH: 3, filterW: 3 }), ["pad", "maxPool2d"]],
    ["a slice in another shape", one("stridedSlice", [2, 5, 4], [], [4, 6], slice), ["stridedSlice", "reshape"]],
  ])("%s", async (_what, graph, ops) => {
    const back = again(graph);
    expect(back.nodes.map(({ op }) => op)).toEqual(ops);
    await expectSameResults(graph, back);
  });

  it("a quantization whose ties are even", async () => {
    const b = new GraphBuilder("even");
    const x = b.input("x", f32(1, 8));
    const y = b.value("y", { dtype: "int8", shape: [1, 8], quantization: { scales: [0.5], zeroPoints: [3], axis: 0 } });
    b.node("quantize", [x], [y], { dtype: "int8", ties: "even" });
    b.output(y);
    const back = again(b.build());
    expect(back.nodes.map(({ op }) => op)).toEqual(["div", "round", "add", "maximum", "minimum", "cast"]);
    expect(back.outputs[0]!.quantization).toEqual(y.quantization);
    const sample = [bytesOf(Float32Array.of(0.25, 0.75, -0.25, -0.75, 1.25, 90, -90, 0.6))];
    const [result] = (await execute(back, "plain", [sample])).outputs[0]!;
    expect([...new Int8Array(result!.buffer, result!.byteOffset, 8)]).toEqual([3, 5, 3, 1, 5, 127, -128, 4]);
  });

  it("integer convolutions get a bias of zeros", async () => {
    const op = OPS.conv2d;
    const groups = op.cases.find(({ name }) => name === "two groups")!;
    const { graph, inputs } = caseGraph({ ...op, cases: [groups] }, new Xorshift32(5));
    const back = again(graph);
    expect(graph.nodes[0]!.inputs[2] ?? null).toBeNull();
    expect(back.nodes[0]!.inputs[2]!.data).toEqual(new Int32Array(6));
    const sample = inputs.map(bytesOf);
    expect((await execute(back, "plain", [sample])).outputs).toEqual((await execute(graph, "plain", [sample])).outputs);
  });
});
