import { readFileSync } from "node:fs";
import { unzipSync, zipSync } from "fflate";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { bytesOf, KingletError, numberToFloat16, Xorshift32 } from "../../base/index.ts";
import { readModel } from "../index.ts";
import { needShared } from "../test-files.ts";
import { readMlpackage } from "./coreml.ts";
import { readWeights } from "./read.ts";
import type { Weights } from "./tensors.ts";
import { floatSafetensors, hdf5, keras2, keras3, type KerasLayer, kerasModel, type Named, safetensors, withHeader } from "./weights-testing.ts";

const floats = (length: number, from = 0): Float32Array => Float32Array.from({ length }, (_, i) => from + i / 8);
const named = (name: string, shape: readonly number[], from = 0): Named => ({
  name,
  shape,
  data: floats(
    shape.reduce((a, b) => a * b, 1),
    from,
  ),
});

const listed = ({ tensors }: Weights): unknown[] => tensors.map(({ name, dtype, shape }) => [name, dtype, ...shape]);
const contents = ({ tensors }: Weights): unknown[] => tensors.map(({ data }) => data && [...data]);

describe("a .safetensors file", () => {
  test("gives its tensors in single precision, whatever floats they are", async () => {
    const numbers = [1, -0.5, 3, 65504];
    const file = safetensors([
      { name: "single", dtype: "F32", shape: [2, 2], bytes: bytesOf(Float32Array.from(numbers)) },
      { name: "half", dtype: "F16", shape: [4], bytes: bytesOf(Uint16Array.from(numbers, numberToFloat16)) },
      { name: "brain", dtype: "BF16", shape: [2], bytes: bytesOf(Uint16Array.of(0x3f80, 0xc049)) },
      { name: "double", dtype: "F64", shape: [1, 4], bytes: bytesOf(Float64Array.from(numbers)) },
      { name: "count", dtype: "I64", shape: [], bytes: bytesOf(BigInt64Array.of(7n)) },
      { name: "small", dtype: "F8_E4M3", shape: [3], bytes: Uint8Array.of(1, 2, 3) },
    ]);
    const weights = await readWeights(file, "x.safetensors");
    expect(weights).toMatchObject({ format: "safetensors", layout: "pytorch", inOrder: false });
    expect(listed(weights)).toEqual([
      ["single", "float32", 2, 2],
      ["half", "float16", 4],
      ["brain", "bfloat16", 2],
      ["double", "float64", 1, 4],
      ["count", "int64"],
      ["small", "F8_E4M3", 3],
    ]);
    expect(contents(weights)).toEqual([numbers, numbers, [1, -3.140625], numbers, null, null]);
  });

  const header = (tensors: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(tensors));
  const one = (change: object): Uint8Array => header({ a: { dtype: "F32", shape: [2], data_offsets: [0, 8], ...change } });
  const data = new Uint8Array(8);

  test.each<[string, Uint8Array, RegExp]>([
    ["contents that do not fit the shape", withHeader(one({ shape: [3] }), data), /does not fit 8 bytes/],
    ["a shape beyond any machine", withHeader(one({ shape: [2 ** 40, 2 ** 40] }), data), /does not fit any machine/],
    ["a shape of no numbers", withHeader(one({ shape: [-2] }), data), /is not a shape/],
    ["bytes behind the tensors", withHeader(one({}), new Uint8Array(9)), /take 8 bytes, and the file holds 9/],
    ["fewer bytes than the tensors take", withHeader(one({}), new Uint8Array(7)), /take 8 bytes, and the file holds 7/],
    ["offsets that run backwards", withHeader(one({ data_offsets: [8, 0] }), data), /where it begins/],
    ["a hole between tensors", withHeader(one({ data_offsets: [4, 12] }), new Uint8Array(12)), /begins at byte 4/],
    [
      "tensors that overlap",
      withHeader(header({ a: { dtype: "F32", shape: [2], data_offsets: [0, 8] }, b: { dtype: "F32", shape: [1], data_offsets: [4, 8] } }), data),
      /begins at byte 4/,
    ],
    ["a header that is no object", withHeader(header({ a: 1 }), data), /an object is expected/],
    ["a header that is longer than the file", withHeader(one({}), data).map((byte, i) => (i === 2 ? 9 : byte)), /does not fit the file/],
    ["no weights at all", new Uint8Array(20), /does not hold weights/],
    ["an empty file", new Uint8Array(0), /does not hold weights/],
  ])("is refused with %s", async (_, file, message) => {
    await expect(readWeights(file, "x.safetensors")).rejects.toThrow(message);
    await expect(readWeights(file, "x.safetensors")).rejects.toThrow(expect.objectContaining({ name: "KingletError", code: "bad-file" }));
  });
});

const LAYERS: readonly KerasLayer[] = [
  { className: "DepthwiseConv2D", name: "filter", variables: [named("depthwise_kernel", [3, 3, 2, 1])] },
  {
    className: "BatchNormalization",
    name: "norm",
    variables: [named("gamma", [2]), named("beta", [2], 1), named("moving_mean", [2], 2), named("moving_variance", [2], 3)],
  },
  { className: "Conv2D", name: "wide", variables: [named("kernel", [1, 1, 2, 4], 5), named("bias", [4], 6)] },
  { className: "Conv2D", name: "again", variables: [named("kernel", [1, 1, 4, 4], 7), named("bias", [4], 8)] },
  { className: "Dense", name: "answer", variables: [named("kernel", [4, 3], 9), named("bias", [3], 10)] },
];

/** What each way to write the layers calls them. */
function expectedNames(layers: readonly string[], kernel: string): string[] {
  const variables = [[kernel], ["gamma", "beta", "moving_mean", "moving_variance"], ["kernel", "bias"], ["kernel", "bias"], ["kernel", "bias"]];
  return variables.flatMap((own, i) => own.map((name) => `${layers[i]}/${name}`));
}

describe("a Keras file", () => {
  const own = LAYERS.map(({ name }) => name);
  const all = LAYERS.flatMap(({ variables }) => variables.map(({ data }) => [...data]));

  test("of Keras 2 gives weights by layer and variable, in the model's order", async () => {
    const weights = await readWeights(await keras2(LAYERS), "x.h5");
    expect(weights).toMatchObject({ format: "Keras HDF5", layout: "keras", inOrder: true });
    expect(weights.tensors.map(({ name }) => name)).toEqual(expectedNames(own, "depthwise_kernel"));
    expect(contents(weights)).toEqual(all);
  });

  test("of Keras 3 with weights alone knows classes and numbers", async () => {
    const weights = await readWeights(await keras3(LAYERS), "x.weights.h5");
    const names = expectedNames(["depthwise_conv2d", "batch_normalization", "conv2d", "conv2d_1", "dense"], "kernel");
    expect(weights.tensors.map(({ name }) => name).sort()).toEqual(names.sort());
  });

  test("with its model gives the layers' own names in the model's order", async () => {
    const weights = await readWeights(await kerasModel(LAYERS), "x.keras");
    expect(weights).toMatchObject({ format: "Keras", inOrder: true });
    expect(weights.tensors.map(({ name }) => name)).toEqual(expectedNames(own, "kernel"));
    expect(contents(weights)).toEqual(all);
  });

  test("may hold half and double precision, and lists that Keras cuts", async () => {
    const weights = await readWeights(
      await hdf5({
        tensors: [
          { ...named("a/a/kernel:0", [2, 2]), dtype: "<d" },
          { ...named("b/b/kernel:0", [2, 2]), dtype: "<i" },
        ],
        texts: [
          ["", "layer_names0", ["a"]],
          ["", "layer_names1", ["b"]],
          ["a", "weight_names", ["a/kernel:0"]],
          ["b", "weight_names", ["b/kernel:0"]],
        ],
      }),
      "x.h5",
    );
    expect(listed(weights)).toEqual([
      ["a/kernel", "float64", 2, 2],
      ["b/kernel", "<i", 2, 2],
    ]);
    expect(contents(weights)).toEqual([[0, 0.125, 0.25, 0.375], null]);
  });

  test("is refused where what it lists is missing, or it holds no weights", async () => {
    const list = await hdf5({ tensors: [named("a/kernel:0", [2])], texts: [["", "layer_names", ["b"]]] });
    await expect(readWeights(list, "x.h5")).rejects.toThrow('the layer "b" that the file lists is missing');
    await expect(readWeights(await hdf5({ tensors: [] }), "x.h5")).rejects.toThrow("holds no weights");
    await expect(readWeights(zipSync({ "config.json": new Uint8Array(2) }), "x.keras")).rejects.toThrow("neither a Keras model nor");
  });

  test("of another machine's tests is read, without what its optimizer kept", async (context) => {
    const zip = needShared(context, "data/mlperf-tiny/reference-models.zip");
    const files = unzipSync(readFileSync(zip), { filter: ({ name }) => name.endsWith(".h5") });
    const counts = await Promise.all(Object.entries(files).map(async ([name, bytes]) => (await readWeights(bytes, name)).tensors.length));
    expect(counts).toEqual([48, 26]);
  });
});

const sizes = (data: Float32Array): Float32Array => data.map(Math.abs).sort();

describe("the weights of a Core ML package", () => {
  test("are those of the same network in .onnx and .tflite", (context) => {
    const files = unzipSync(readFileSync(needShared(context, "data/models/zoo.zip")), { filter: ({ name }) => name.startsWith("basic_pitch-nmp.") });
    const { tensors } = readMlpackage((path) => files[`basic_pitch-nmp.mlpackage/${path}`], "basic_pitch-nmp.mlpackage");
    const large = tensors.filter(({ data }) => data!.length >= 32);
    expect(large).toHaveLength(21);
    for (const format of ["onnx", "tflite"]) {
      const { values } = readModel(files[`basic_pitch-nmp.${format}`]!, format, { shapeOf: () => [1, 43844, 1] });
      const constants = values.flatMap(({ data }) => (data instanceof Float32Array ? [sizes(data)] : []));
      // Layouts differ, one kernel is the negative of another, and where a normalization was folded the last bits differ.
      const isAmong = (data: Float32Array): boolean => {
        const sorted = sizes(data);
        return constants.some((other) => other.length === sorted.length && other.every((x, i) => Math.abs(x - sorted[i]!) <= 1e-6));
      };
      expect(large.filter(({ data }) => !isAmong(data!)).map(({ name }) => name)).toEqual([]);
    }
  });

  test("lie in a zip, too, with the package's folder or without it", async (context) => {
    const files = unzipSync(readFileSync(needShared(context, "data/models/zoo.zip")), { filter: ({ name }) => name.includes(".mlpackage/") });
    const bare = Object.fromEntries(Object.entries(files).map(([name, bytes]) => [name.slice(name.indexOf("/") + 1), bytes]));
    for (const zipped of [files, bare]) {
      const weights = await readWeights(zipSync(zipped), "x.zip");
      expect(weights).toMatchObject({ format: "Core ML package", layout: "pytorch", inOrder: true });
      expect(weights.tensors).toHaveLength(29);
    }
  });
});

/** A few bytes changed, or the end cut off. */
function damaged(original: Uint8Array, seed: number): Uint8Array {
  const random = new Xorshift32(seed + 1);
  const bytes = original.slice();
  for (let i = 0; i <= random.int(0, 3); i++) bytes[random.int(0, bytes.length - 1)] = random.int(0, 255);
  return random.int(0, 4) === 0 ? bytes.subarray(0, random.int(0, bytes.length)) : bytes;
}

async function outcome(bytes: Uint8Array): Promise<string> {
  try {
    await readWeights(bytes, "damaged");
    return "weights";
  } catch (error) {
    if (error instanceof KingletError) return error.code;
    throw error;
  }
}

describe("a hostile file", () => {
  test.each<[string, () => Promise<Uint8Array>, number]>([
    ["of safetensors", async () => floatSafetensors([named("a.weight", [4, 3]), named("b", [])]), 3000],
    ["of Keras 2", () => keras2(LAYERS), 100],
    ["of Keras 3", () => keras3(LAYERS), 100],
    ["with a model", () => kerasModel(LAYERS), 100],
  ])("%s gives weights or one typed error", { timeout: 120_000 }, async (_, make, runs) => {
    const original = await make();
    const outcomes = new Set<string>();
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: 2 ** 31 - 2 }), async (seed) => void outcomes.add(await outcome(damaged(original, seed)))),
      { numRuns: runs, seed: 11, endOnFailure: true },
    );
    expect([...outcomes].sort()).toEqual(["bad-file", "weights"]);
  });

  test("of Core ML gives weights or one typed error", { timeout: 120_000 }, (context) => {
    const files = unzipSync(readFileSync(needShared(context, "data/models/zoo.zip")), { filter: ({ name }) => name.includes(".mlpackage/") });
    const outcomes = new Set<string>();
    const read = (seed: number): void => {
      try {
        readMlpackage((path) => damaged(files[`basic_pitch-nmp.mlpackage/${path}`]!, seed), "damaged");
        outcomes.add("weights");
      } catch (error) {
        if (!(error instanceof KingletError)) throw error;
        outcomes.add(error.code);
      }
    };
    fc.assert(fc.property(fc.integer({ min: 0, max: 2 ** 31 - 2 }), read), { numRuns: 300, seed: 12, endOnFailure: true });
    expect([...outcomes].sort()).toEqual(["bad-file", "weights"]);
  });
});
