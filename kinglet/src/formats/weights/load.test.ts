import { readFileSync } from "node:fs";
import { unzipSync } from "fflate";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { KingletError, Xorshift32 } from "../../base/index.ts";
import { type Graph, GraphBuilder, type Node } from "../../graph/index.ts";
import { applyOp } from "../../ops/index.ts";
import { evaluate } from "../../targets/js/index.ts";
import { dsCnn, mobilenetV2, mobilenetV3, resnet8, shufflenetV2 } from "../../zoo/index.ts";
import { readModel } from "../index.ts";
import { needShared } from "../test-files.ts";
import { loadWeights, type LoadWeightsOptions } from "./load.ts";
import { readWeights } from "./read.ts";
import { floatSafetensors, keras2, keras3, type KerasLayer, kerasModel, type Named, permuted, randomized } from "./weights-testing.ts";

/** A kernel in a framework's layout: dimensions of ours in the order of theirs. */
const ORDERS = {
  pytorch: { conv2d: [0, 3, 1, 2], depthwiseConv2d: [3, 0, 1, 2], fullyConnected: [0, 1] },
  keras: { conv2d: [1, 2, 3, 0], depthwiseConv2d: [1, 2, 3, 0], fullyConnected: [1, 0] },
} as const;
const CLASSES = { conv2d: "Conv2D", depthwiseConv2d: "DepthwiseConv2D", fullyConnected: "Dense", batchNorm: "BatchNormalization" } as const;

type Framework = keyof typeof ORDERS;
const NORMS = { pytorch: ["weight", "bias", "running_mean", "running_var"], keras: ["gamma", "beta", "moving_mean", "moving_variance"] } as const;

/** The layers of a network as a framework would store them, numbered or with names of their own. */
function layersOf(graph: Graph, framework: Framework, nameOf: (node: Node, i: number) => string): KerasLayer[] {
  const nodes = graph.nodes.filter(({ op }) => op in CLASSES);
  return nodes.map((node, i) => {
    const op = node.op as keyof typeof CLASSES;
    const constants = node.inputs.slice(1).flatMap((value) => (value === null ? [] : [{ shape: value.shape, data: value.data as Float32Array }]));
    const kernel = framework === "pytorch" ? "weight" : op === "depthwiseConv2d" ? "depthwise_kernel" : "kernel";
    const names: readonly string[] = op === "batchNorm" ? NORMS[framework] : [kernel, "bias"];
    const variables = constants.map(({ shape, data }, v): Named => {
      const stored = v === 0 && op !== "batchNorm" ? permuted(data, shape, ORDERS[framework][op]) : { shape, data };
      return { name: names[v]!, ...stored };
    });
    return { className: CLASSES[op], name: nameOf(node, i), variables };
  });
}

const flat = (layers: readonly KerasLayer[]): Named[] =>
  layers.flatMap(({ name, variables }) => variables.map((each) => ({ ...each, name: `${name}.${each.name}` })));

/** Kinglet's own habits, so that the same bits come out. */
const OWN = { epsilon: 1e-3, padding: "same" } as const satisfies LoadWeightsOptions;

function samplesOf(graph: Graph, seed: number): Float32Array {
  const random = new Xorshift32(seed);
  return Float32Array.from({ length: graph.inputs[0]!.shape.reduce((a, b) => a * b, 1) }, () => random.float());
}

function expectSame(loaded: Graph, written: Graph): void {
  for (const seed of [1, 2]) {
    const sample = [samplesOf(written, seed)];
    const expected = evaluate(written, sample)[0] as Float32Array;
    expect(new Set(expected).size).toBeGreaterThan(1);
    expect(evaluate(loaded, sample)).toEqual([expected]);
  }
}

const NETWORKS: Readonly<Record<string, (seed: number) => Graph>> = {
  "DS-CNN": (seed) => dsCnn({ variant: "digits", width: 0.5, seed }),
  "ResNet-8": (seed) => resnet8({ width: 0.5, resolution: 16, seed }),
  MobileNetV2: (seed) => mobilenetV2({ width: 0.25, resolution: 32, classes: 7, seed }),
  MobileNetV3: (seed) => mobilenetV3({ width: 0.25, resolution: 32, classes: 7, seed }),
  ShuffleNetV2: (seed) => shufflenetV2({ width: 0.5, resolution: 32, classes: 7, seed }),
};

describe.each(Object.keys(NETWORKS))("%s, written with other weights", (name) => {
  const written = randomized(NETWORKS[name]!(1), 5);
  const fresh = NETWORKS[name]!(2);

  test("comes back to the bit from numbered tensors of PyTorch", async () => {
    const tensors = flat(layersOf(written, "pytorch", (_, i) => `features.${i}`));
    // As the format's own writer does.
    const sorted = tensors.sort((a, b) => (a.name < b.name ? -1 : 1));
    const counter: Named = { name: "features.1.num_batches_tracked", shape: [], data: Float32Array.of(3) };
    expectSame(loadWeights(fresh, await readWeights(floatSafetensors([counter, ...sorted]), "x"), OWN), written);
  });

  test.each<[string, (layers: readonly KerasLayer[]) => Promise<Uint8Array>]>([
    ["Keras 2", keras2],
    ["Keras 3, weights alone", keras3],
    ["Keras 3 with its model", kerasModel],
  ])("comes back to the bit from %s", async (_, write) => {
    const layers = layersOf(written, "keras", ({ name: own }) => own);
    expectSame(loadWeights(fresh, await readWeights(await write(layers), "x"), OWN), written);
  });

  test("comes back to the bit by names, in any order", async () => {
    const layers = layersOf(written, "pytorch", ({ name: own }) => own);
    const names = Object.fromEntries(
      written.nodes.flatMap((node) => {
        const variables = layers.find(({ name: layer }) => layer === node.name)?.variables ?? [];
        return variables.map((each, i) => [node.inputs.slice(1).filter((value) => value !== null)[i]!.name, `${node.name}.${each.name}`]);
      }),
    );
    const weights = await readWeights(floatSafetensors(flat(layers).reverse()), "x");
    expectSame(loadWeights(fresh, weights, { ...OWN, names }), written);
    expectSame(loadWeights(fresh, weights, { ...OWN, names: (parameter) => [`no such ${parameter}`, names[parameter]!] }), written);
  });
});

test("any permutation of dimensions and back is the tensor", () => {
  const shape = fc.tuple(fc.nat(3), fc.nat(3), fc.nat(3), fc.nat(3)).map((dims) => dims.map((dim) => dim + 1));
  fc.assert(
    fc.property(shape, fc.shuffledSubarray([0, 1, 2, 3], { minLength: 4 }), (dims, order) => {
      const data = Float32Array.from({ length: dims.reduce((a, b) => a * b, 1) }, (_, i) => i);
      const there = permuted(data, dims, order);
      const back = [0, 1, 2, 3].map((dim) => order.indexOf(dim));
      expect(permuted(there.data, there.shape, back)).toEqual({ shape: dims, data });
    }),
    { seed: 3 },
  );
});

describe("what frameworks compute around the weights", () => {
  const [mean, variance] = [0.5, 4 - 1e-5];

  /** A 3 × 3 convolution of stride 2 over a 4 × 4 map, and its normalization. */
  function network(): Graph {
    const b = new GraphBuilder("pair");
    const x = b.input("x", { dtype: "float32", shape: [1, 4, 4, 1] });
    const filled = (name: string, shape: readonly number[], value: number) =>
      b.constant(name, { dtype: "float32", shape }, new Float32Array(shape.reduce((a, c) => a * c, 1)).fill(value));
    const window = { strideH: 2, strideW: 2, dilationH: 1, dilationW: 1, padTop: 0, padBottom: 1, padLeft: 0, padRight: 1, activation: "none" };
    const [sums] = applyOp(b, "conv2d", [x, filled("pair_weights", [1, 3, 3, 1], 0), null], window, "pair");
    const statistics = ["scale", "offset", "mean", "variance"].map((name) => filled(`pair_${name}`, [1], 1));
    b.output(applyOp(b, "batchNorm", [sums!, ...statistics], { epsilon: 1e-3, activation: "none" }, "norm")[0]!);
    return b.build();
  }

  const tensors: readonly Named[] = [
    { name: "0.weight", shape: [1, 1, 3, 3], data: new Float32Array(9).fill(1) },
    { name: "0.bias", shape: [1], data: Float32Array.of(2) },
    { name: "1.weight", shape: [1], data: Float32Array.of(2) },
    { name: "1.bias", shape: [1], data: Float32Array.of(10) },
    { name: "1.running_mean", shape: [1], data: Float32Array.of(mean) },
    { name: "1.running_var", shape: [1], data: Float32Array.of(variance) },
  ];
  const ones = [new Float32Array(16).fill(1)];
  /** The number of pixels under the window, the bias, and then the normalization of deviation 2. */
  const expected = (pixels: number): number => pixels + 2 - mean + 10;

  test("PyTorch pads alike on both sides, and its bias before a normalization counts", async () => {
    const loaded = loadWeights(network(), await readWeights(floatSafetensors(tensors), "x"));
    expect([...(evaluate(loaded, ones)[0] as Float32Array)]).toEqual([4, 6, 6, 9].map(expected));
  });

  test("can be chosen", async () => {
    const loaded = loadWeights(network(), await readWeights(floatSafetensors(tensors), "x"), { padding: "same", epsilon: 1e-5 });
    expect([...(evaluate(loaded, ones)[0] as Float32Array)]).toEqual([9, 6, 6, 4].map(expected));
  });
});

describe("what does not fit", () => {
  const graph = (): Graph => resnet8({ width: 0.25, resolution: 16 });
  const tensors = (): Named[] => flat(layersOf(graph(), "pytorch", (_, i) => `layers.${i}`));

  async function complaint(written: readonly Named[], options: LoadWeightsOptions = {}): Promise<string> {
    const weights = await readWeights(floatSafetensors(written), "x");
    try {
      loadWeights(graph(), weights, options);
    } catch (error) {
      expect(error).toBeInstanceOf(KingletError);
      expect(error).toMatchObject({ code: "bad-input" });
      return (error as KingletError).message;
    }
    return "";
  }

  test("is told all at once", async () => {
    const extra: Named = { name: "head.weight", shape: [3, 3], data: new Float32Array(9) };
    const written = [...tensors().slice(1), extra].map((each) => (each.name === "layers.1.bias" ? { ...each, shape: [2, 2] } : each));
    expect((await complaint(written)).split("\n")).toEqual([
      'the weights do not fit "resnet8"',
      '  missing: "conv_weights" [4,3,3,3]',
      '  surplus: "head.weight" [3,3]',
      '  shape: "layers.1.bias" [2,2] is [2,2] here, and "conv_offset" [4]',
    ]);
  });

  test("is told by names, too, with the names that were looked for", async () => {
    const names = { conv_weights: "layers.0.weight", conv_scale: ["a", "b"] };
    const text = await complaint(tensors(), { names });
    expect(text).toContain('missing: "conv_scale" [4], looked for as "a" or "b"');
    expect(text).toContain('missing: "stack_1_a_weights" [4,3,3,4]\n');
    expect(text).toContain('surplus: "layers.2.weight" [4,4,3,3]');
  });

  test("is ambiguous where neither the file nor a number tells the order of layers alike", async () => {
    const unnumbered = tensors().map((each) => ({ ...each, name: each.name.replace(/\d+/, (digits) => "abcdefghijklmnopqrstuvw"[Number(digits)]!) }));
    expect(await complaint(unnumbered)).toMatch(/ambiguous: "layers\.\w" and "layers\.\w" have one shape/);
  });

  test("is refused where a weight is no floating-point number", async () => {
    const weights = await readWeights(floatSafetensors(tensors()), "x");
    const integers = { ...weights, tensors: weights.tensors.map((each, i) => (i === 0 ? { ...each, dtype: "int8", data: null } : each)) };
    expect(() => loadWeights(graph(), integers)).toThrow('of type int8, which is no floating-point one: "layers.0.weight"');
  });

  test("may be left out by name: other classes keep their start", async () => {
    const ten = flat(layersOf(randomized(resnet8({ resolution: 16 }), 4), "pytorch", (_, i) => `layers.${i}`));
    const other = resnet8({ resolution: 16, classes: 3 });
    const weights = await readWeights(floatSafetensors(ten), "x");
    expect(() => loadWeights(other, weights)).toThrow("surplus");
    const loaded = loadWeights(other, weights, { without: ["logits"] });
    const dataOf = (network: Graph, name: string) => network.values.find((value) => value.name === name)!.data;
    expect(dataOf(loaded, "logits_weights")).toBe(dataOf(other, "logits_weights"));
    expect(dataOf(loaded, "conv_mean")).toEqual(ten.find(({ name }) => name === "layers.1.running_mean")!.data);
  });
});

test("a layer that is left out keeps its place among those of its shape", async () => {
  const written = resnet8({ width: 0.25, resolution: 16, seed: 1 });
  const other = resnet8({ width: 0.25, resolution: 16, seed: 2 });
  const weights = await readWeights(floatSafetensors(flat(layersOf(written, "pytorch", (_, i) => `layers.${i}`))), "x");
  const loaded = loadWeights(other, weights, { without: ["stack_1_a"] });
  const dataOf = (network: Graph, name: string) => network.values.find((value) => value.name === name)!.data;
  expect(dataOf(loaded, "stack_1_a_weights")).toEqual(dataOf(other, "stack_1_a_weights"));
  expect(dataOf(loaded, "stack_1_b_weights")).toEqual(dataOf(written, "stack_1_b_weights"));
});

describe("MLPerf Tiny's ResNet-8", () => {
  test("of a Keras file gives what its .tflite gives", async (context) => {
    const folder = "image_classification/pretrainedResnet";
    const files = unzipSync(readFileSync(needShared(context, "data/mlperf-tiny/reference-models.zip")), {
      filter: ({ name }) => name.startsWith(folder),
    });
    const loaded = loadWeights(resnet8({ probabilities: true }), await readWeights(files[`${folder}.h5`]!, "pretrainedResnet.h5"));
    const deployed = readModel(files[`${folder}.tflite`]!, "pretrainedResnet.tflite");
    for (const seed of [1, 2, 3]) {
      const sample = [samplesOf(loaded, seed).map((x) => 127.5 * (x + 1))];
      const [got, expected] = [evaluate(loaded, sample)[0] as Float32Array, evaluate(deployed, sample)[0] as Float32Array];
      got.forEach((x, i) => expect(Math.abs(x - expected[i]!)).toBeLessThan(1e-5));
    }
  });
});
