import { describe, expect, it } from "vitest";
import { fromBytes, KingletError, Xorshift32 } from "../../base/index.ts";
import { execute, quantizeNetwork, type Sample, seededSample } from "../../driver/index.ts";
import { type Graph, GraphBuilder } from "../../graph/index.ts";
import { applyOp, caseGraph, OPS } from "../../ops/index.ts";
import { evaluate } from "../../targets/js/index.ts";
import { prepareForQuantization } from "../../passes/index.ts";
import { dsCnn, gru, mlp, resnet8 } from "../../zoo/index.ts";
import { nameless } from "../graph-testing.ts";
import type { GraphProto, ModelProto } from "./proto.ts";
import { readOnnx } from "./read.ts";
import { parseModel } from "./schema.ts";
import { type OnnxWriteOptions, writeOnnx } from "./write.ts";

const again = (graph: Graph, options: OnnxWriteOptions = {}): Graph => readOnnx(writeOnnx(graph, options), graph.name);
const fileOf = (graph: Graph, options: OnnxWriteOptions = {}): ModelProto => parseModel(writeOnnx(graph, options), "written");
const countOf = (file: ModelProto, op: string): number => file.graph!.nodes.filter((node) => node.op === op).length;

function refusal(graph: Graph, options: OnnxWriteOptions = {}): KingletError {
  try {
    writeOnnx(graph, options);
  } catch (error) {
    if (error instanceof KingletError) return error;
    throw error;
  }
  throw new Error("nothing was refused");
}

const f32 = (...shape: number[]) => ({ dtype: "float32" as const, shape });

/** A chain of operators on one input. */
function chain(shape: number[], ...ops: [op: string, attributes: Graph["nodes"][0]["attributes"]][]): Graph {
  const b = new GraphBuilder("chain");
  const x = b.input("x", f32(...shape));
  b.output(ops.reduce((value, [op, attributes]) => applyOp(b, op, [value], attributes, `the ${op}`)[0]!, x));
  return b.build();
}

/** Every name is produced once, before it is read. */
function expectOrdered({ nodes, initializers, inputs, outputs }: GraphProto): void {
  const known = new Set([...inputs, ...initializers].map(({ name }) => name));
  for (const node of nodes) {
    for (const name of node.inputs) expect(name === "" || known.has(name), `${node.name} reads ${name}`).toBe(true);
    for (const name of node.outputs) {
      expect(known.has(name), `${name} is produced twice`).toBe(false);
      known.add(name);
    }
  }
  for (const { name } of outputs) expect(known.has(name)).toBe(true);
}

/** How far the outputs of both graphs lie apart on the same sample: integers in steps, floats relative to max(1, |x|). */
async function distance(a: Graph, b: Graph, sample: Sample = seededSample(a, 1)): Promise<number> {
  const [left, right] = [await execute(a, "plain", [sample]), await execute(b, "plain", [sample])];
  return Math.max(
    ...a.outputs.map(({ dtype }, i) => {
      const [p, q] = [left, right].map(({ outputs }) => Array.from<number | bigint, number>(fromBytes(dtype, outputs[0]![i]!), Number));
      return Math.max(...p!.map((x, k) => (Object.is(x, q![k]) ? 0 : Math.abs(x - q![k]!) / (dtype === "float32" ? Math.max(1, Math.abs(x)) : 1))));
    }),
  );
}

describe("networks of Kinglet's own", () => {
  const makers: Record<string, () => Graph> = {
    ds_cnn: () => dsCnn({ size: [16, 10] }),
    resnet8: () => resnet8({ resolution: 8 }),
    gru: () => gru({ length: 4 }),
    mlp,
  };
  it.each(Object.keys(makers))(
    "%s in floats, int8 and 16x8: the file is whole, reads back with the same numbers, and then as it was",
    async (name) => {
      const graph = prepareForQuantization(makers[name]!());
      const samples = [1, 2].map((seed) => seededSample(graph, seed));
      const int8 = quantizeNetwork(graph, samples, { io: "int8" }).graph;
      const wide = quantizeNetwork(graph, samples, { activations: "int16", io: "int16" }).graph;
      for (const [form, most] of [
        [graph, 1e-5],
        [int8, 0],
        [wide, 0],
      ] as const) {
        expectOrdered(fileOf(form).graph!);
        const back = again(form);
        expect(await distance(form, back)).toBeLessThanOrEqual(most);
        expect(nameless(again(back))).toEqual(nameless(back));
      }
    },
  );

  it("turns images once at the beginning, and names what the network names", () => {
    const graph = dsCnn({ size: [16, 10] });
    const file = fileOf(graph);
    expect(countOf(file, "Transpose")).toBe(1);
    expect(countOf(file, "Conv")).toBeGreaterThan(5);
    expect(file.graph!.inputs.map(({ name, shape }) => [name, shape])).toEqual(graph.inputs.map(({ name, shape }) => [name, [...shape]]));
    expect(file.graph!.outputs.map(({ name }) => name)).toEqual(graph.outputs.map(({ name }) => name));
    const names = new Set(file.graph!.nodes.map(({ name }) => name));
    for (const node of graph.nodes) expect(names.has(node.name), node.name).toBe(true);
    const made = file.graph!.nodes.flatMap(({ outputs }) => outputs);
    const described = [...file.graph!.values, ...file.graph!.outputs].map(({ name }) => name);
    expect(described.sort()).toEqual(made.sort());
  });

  it("keeps notes", () => {
    const graph = { ...chain([1, 4], ["relu", {}]), metadata: { description: "a line", labels: "yes\nno", producer: "somebody" } };
    expect(again(graph).metadata).toEqual(graph.metadata);
  });
});

describe("operator sets", () => {
  it("are the first that suffice, with the format's version that came with them", () => {
    const one = (graph: Graph): [number | undefined, number] => [fileOf(graph).opsets.get(""), fileOf(graph).irVersion];
    expect(one(chain([1, 4], ["relu", {}]))).toEqual([13, 7]);
    expect(one(chain([1, 4], ["hardSwish", {}]))).toEqual([14, 7]);
    expect(one(chain([1, 4], ["gelu", { approximate: false }]))).toEqual([20, 9]);
    const samples = [seededSample(mlp(), 1)];
    expect(one(quantizeNetwork(mlp(), samples, { activations: "int16" }).graph)).toEqual([21, 10]);
  });

  it("decide where axes stand", () => {
    const graph = chain([2, 3, 4], ["reduceMax", { axes: [1], keepDims: false }]);
    const node = (opset: number) => fileOf(graph, { opset }).graph!.nodes[0]!;
    expect([node(17).inputs.length, node(17).attributes.map(({ name }) => name)]).toEqual([1, ["axes", "keepdims"]]);
    expect([node(18).inputs.length, node(18).attributes.map(({ name }) => name)]).toEqual([2, ["keepdims"]]);
    for (const opset of [13, 17, 18, 21]) expect(nameless(again(graph, { opset }))).toEqual(nameless(graph));
  });

  it("store weights of 4 bits in half a byte from 21 on", async () => {
    const b = new GraphBuilder("narrow");
    const scale = (s: number) => ({ scales: [s], zeroPoints: [0], axis: 0 });
    const x = b.input("x", { dtype: "int8", shape: [1, 6], quantization: scale(0.1) });
    const w = b.constant(
      "w",
      { dtype: "int8", shape: [3, 6], quantization: scale(0.5) },
      Int8Array.from({ length: 18 }, (_, i) => (i % 16) - 8),
    );
    const y = b.value("y", { dtype: "int8", shape: [1, 3], quantization: scale(0.4) });
    b.node("fullyConnected", [x, w, null], [y], { activation: "none", keepDims: false });
    b.output(y);
    const bytesOf = (opset: number): number => fileOf(b.build(), { opset }).graph!.initializers.find(({ name }) => name === "w")!.raw!.length;
    expect([bytesOf(13), bytesOf(21)]).toEqual([18, 9]);
    expect(await distance(b.build(), again(b.build(), { opset: 21 }))).toBe(0);
  });

  it("refuse what they cannot say, and others that Kinglet does not write", () => {
    const { code, message } = refusal(chain([1, 4], ["hardSwish", {}], ["gelu", { approximate: true }]), { opset: 13 });
    expect([code, message]).toEqual(["unsupported", expect.stringMatching(/hardSwish.*operator set 14.*gelu.*operator set 20/)]);
    for (const opset of [12, 22, 13.5]) expect(refusal(chain([1, 4], ["relu", {}]), { opset }).code).toBe("misuse");
  });
});

describe("what ONNX cannot hold", () => {
  it("is named all at once", () => {
    const b = new GraphBuilder("features");
    const x = b.input("x", f32(1, 16));
    const [frames] = applyOp(b, "frames", [x], { length: 8, step: 8, padEnd: false }, "cut");
    const [filtered] = applyOp(b, "biquad", [frames!, null], { sections: [1, 0, 0, 0, 0] }, "filter");
    b.output(filtered!);
    expect(refusal(b.build()).message).toMatch(/frames "cut", biquad "filter": ONNX has no such operator/);
  });

  it("is state", () => {
    const { graph } = caseGraph(OPS.svdf, new Xorshift32(1));
    expect(refusal(graph).message).toContain("keeps state");
  });
});

describe("every operator's own examples", () => {
  /** Integer kernels that round between the steps which the file has as one computation of floats: so many steps apart. */
  const STEPS: Readonly<Record<string, number>> = { squaredDifference: 5, reduceProd: 2, cumsum: 2 };
  /** Floats meet integer weights: the inputs are not rounded. Casts of floats beyond an integer's range wrap in ONNX. */
  const OTHER = /^(conv2d|depthwiseConv2d|fullyConnected): float.* int8 weights|^cast: float32 to uint(32|64)/;

  it.each(Object.keys(OPS))("%s reads back with the same numbers, or is refused", (name) => {
    const op = OPS[name as keyof typeof OPS];
    for (const example of op.cases) {
      const { graph, inputs } = caseGraph({ ...op, cases: [example] }, new Xorshift32(7));
      if (OTHER.test(`${name}: ${example.name}`)) continue;
      let back: Graph;
      try {
        back = again(graph);
      } catch (error) {
        if (error instanceof KingletError && error.code === "unsupported") continue;
        throw error;
      }
      const [wanted, got] = [evaluate(graph, inputs), evaluate(back, inputs)];
      graph.outputs.forEach(({ dtype }, i) => {
        const [a, b] = [wanted[i]!, got[i]!].map((data) => Array.from<number | bigint, number>(data, Number)) as [number[], number[]];
        const most = dtype === "float32" ? 1e-5 : (STEPS[name] ?? 1);
        const fits = a.every((x, k) => Object.is(x, b[k]) || Math.abs(x - b[k]!) <= most * (dtype === "float32" ? Math.max(1, Math.abs(x)) : 1));
        expect(fits, example.name).toBe(true);
      });
    }
  });
});
