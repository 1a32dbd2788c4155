import { describe, expect, test } from "vitest";
import { execute, macsOf, parametersOf, seededSample } from "../driver/index.ts";
import type { Graph } from "../graph/index.ts";
import { runPasses } from "../passes/index.ts";
import { divisibleByEight, dsCnn, mobilenetV1, mobilenetV2, ZOO } from "./index.ts";

/** Multiply-accumulates and parameters, with the graph's shapes checked on the way. */
function size(graph: Graph): { macs: number; parameters: number } {
  const ready = runPasses(graph);
  return { macs: macsOf(ready), parameters: parametersOf(ready) };
}

/** What batch normalization adds to published parameter counts: scale and shift for each channel instead of one bias. */
function batchNormParameters(graph: Graph): number {
  return graph.values.filter(({ name }) => name.endsWith("_bias") && name !== "logits_bias").reduce((sum, { shape }) => sum + shape[0]!, 0);
}

const fingerprint = (graph: Graph): number[] => {
  const constants = graph.values.filter((value) => value.data !== undefined);
  return constants.map(({ data }) => (data as Int8Array).reduce((sum, x, i) => (Math.imul(sum, 31) + Number(x) * (i + 1)) | 0, 7));
};

describe("the published sizes", () => {
  const cases = [
    ["mobilenet_v1_1.0_224", 568_740_352, 4_231_976],
    ["mobilenet_v2_1.0_224", 300_774_272, 3_504_872],
  ] as const;
  test.each(cases)("%s: multiply-accumulates and parameters", (name, macs, parameters) => {
    const graph = ZOO[name]!();
    expect(size(graph).macs).toBe(macs);
    expect(size(graph).parameters + batchNormParameters(graph)).toBe(parameters);
  });

  test("1001 classes, as in the files of MobileNetV1 0.25 at 128", () => {
    const graph = mobilenetV1({ width: 0.25, resolution: 128, precision: "int8", classes: 1001 });
    expect(size(graph)).toEqual({ macs: 13_570_304, parameters: 467_593 });
  });

  test("the chain that planners are compared on: 18.9 million, and its largest layer has maps of 194,400 bytes", () => {
    const graph = ZOO["mobilenet_v2_0.35_144_chain"]!();
    expect(size(graph).macs / 1e6).toBeCloseTo(18.9, 1);
    const bytes = graph.nodes.map(({ inputs, outputs }) => {
      const maps = [inputs[0]!, ...outputs];
      return maps.reduce((sum, { shape }) => sum + shape.reduce((product, dim) => product * dim, 1), 0);
    });
    expect(Math.max(...bytes)).toBe(194_400);
    expect(graph.nodes.some(({ op }) => op === "add")).toBe(false);
  });

  test("rounding of channels", () => {
    expect([5.6, 8.4, 11.2, 22.4, 33.6, 56, 112, 24].map(divisibleByEight)).toEqual([8, 8, 16, 24, 32, 56, 112, 24]);
  });
});

test("the keyword spotter has the layers of MLPerf Tiny's", () => {
  expect(size(dsCnn({ precision: "int8" }))).toEqual({ macs: 2_656_768, parameters: 22_604 });
});

describe("every network of the catalogue", () => {
  test.each(Object.keys(ZOO))("%s has the types its operators give", (name) => {
    const graph = ZOO[name]!();
    expect(size(graph).macs).toBeGreaterThan(1e7);
    expect(graph.inputs[0]!.dtype).toBe(name.endsWith("_float") ? "float32" : "int8");
  });
});

describe("signals of natural size", () => {
  /** Share of a value's elements that lie strictly between the ends of its activation's range. */
  function between(bytes: Uint8Array): number {
    const data = new Int8Array(bytes.buffer, bytes.byteOffset, bytes.length);
    return data.filter((x) => x > -128 && x < 127).length / data.length;
  }

  test.each([
    ["DS-CNN", dsCnn({ precision: "int8" })],
    ["V1", mobilenetV1({ width: 0.25, resolution: 96, precision: "int8" })],
    ["V2", mobilenetV2({ width: 0.35, resolution: 96, precision: "int8" })],
  ])("%s: no layer is all zeros or all clipped, and images are told apart", async (_, graph) => {
    const samples = [1, 2].map((seed) => seededSample(graph, seed));
    const { values, outputs } = await execute(graph, "plain", samples, { values: true });
    for (const { name, outputs: made } of graph.nodes) {
      if (name === "probabilities") continue;
      const contents = values!.get(made[0]!.id)!;
      expect(between(contents), name).toBeGreaterThan(0.2);
      expect(new Set(contents).size, name).toBeGreaterThan(Math.min(20, contents.length / 2));
    }
    expect(outputs[0]).not.toEqual(outputs[1]);
  });

  test("the scheduled kernels give the plain loops' bits", async () => {
    const graph = mobilenetV2({ width: 0.35, resolution: 48, precision: "int8", classes: 10 });
    const samples = [seededSample(graph, 3)];
    const plain = await execute(graph, "plain", samples);
    for (const via of ["js", "wasm"] as const) expect((await execute(graph, via, samples)).outputs).toEqual(plain.outputs);
  });

  test("float weights are the int8 weights times their scales", async () => {
    const [float, int8] = (["float32", "int8"] as const).map((precision) => mobilenetV1({ width: 0.25, resolution: 32, precision, classes: 10 }));
    const of = (graph: Graph): Graph["values"][number] => graph.values.find(({ name }) => name === "pointwise_1_weights")!;
    const { data, quantization } = of(int8!);
    expect(of(float!).data![5]).toBe(Math.fround(Number(data![5]) * quantization!.scales[0]!));
    const [a, b] = [await execute(float!, "plain", [seededSample(float!, 1)]), await execute(float!, "wasm", [seededSample(float!, 1)])];
    const [x, y] = [a, b].map(({ outputs }) => new Float32Array(outputs[0]![0]!.slice().buffer));
    x!.forEach((p, i) => expect(Math.abs(p - y![i]!)).toBeLessThan(1e-5));
  });

  test("the same network every time", () => {
    const [one, two] = [1, 2].map(() => mobilenetV1({ width: 0.25, resolution: 32, precision: "int8" }));
    expect(fingerprint(one!)).toEqual(fingerprint(two!));
  });
});
