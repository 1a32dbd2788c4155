import { readFileSync } from "node:fs";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { describe, expect, it } from "vitest";
import { KingletError, Xorshift32 } from "../../base/index.ts";
import type { Graph } from "../../graph/index.ts";
import { comparable } from "../graph-testing.ts";
import { needShared } from "../test-files.ts";
import { readTflite } from "./read.ts";
import { compressed, denseLevel, float32Bytes, int32Bytes, sparsity, type TestTensor, testModel } from "./test-model.ts";
import { writeTflite } from "./write.ts";

const MUTATIONS = 8000;
const SLOWEST_MS = 2000;

/** One file with something of everything the reader understands. */
function richModel(): Uint8Array {
  const f32 = (...shape: number[]): TestTensor => ({ type: "float32", shape });
  const handle: TestTensor = { type: "resource", shape: [] };
  const levels = [denseLevel(2), compressed([0, 1, 2], [1, 0]), denseLevel(2)];
  const weights = { ...f32(2, 4), data: float32Bytes(1, 2, 3, 4), sparsity: sparsity([0, 1, 2], [1], levels) };
  const tensors: TestTensor[] = [
    f32(2, 4),
    weights,
    f32(2, 4),
    handle,
    f32(2, 4),
    f32(2, 4),
    { type: "int32", shape: [2] },
    f32(2, 4),
    f32(2, 2),
    { type: "int32", shape: [2], data: int32Bytes(0, 1) },
    { type: "int32", shape: [2], data: int32Bytes(2, 3) },
    { type: "int32", shape: [2], data: int32Bytes(1, 1) },
    { type: "float16", shape: [2], data: Uint8Array.of(0, 60, 0, 60) },
    f32(2),
    f32(2, 2),
    { type: "int8", shape: [2, 2], scales: [0.5, 0.25], zeroPoints: [0, 0], axis: 1 },
  ];
  const name = { 1: { text: "state" } };
  const main = {
    tensors,
    inputs: [0],
    outputs: [14, 15],
    operators: [
      { op: "CALL_ONCE", inputs: [], outputs: [], options: { 0: { int: 1 } } },
      { op: "VAR_HANDLE", inputs: [], outputs: [3], options: name },
      { op: "ADD", inputs: [0, 1], outputs: [2], options: { 0: { byte: 1 } } },
      { op: "READ_VARIABLE", inputs: [3], outputs: [4] },
      { op: "MUL", inputs: [2, 4], outputs: [5], options: { 0: { byte: 0 } } },
      { op: "ASSIGN_VARIABLE", inputs: [3, 5], outputs: [] },
      { op: "SHAPE", inputs: [5], outputs: [6] },
      { op: "RESHAPE", inputs: [5, 6], outputs: [7] },
      { op: "STRIDED_SLICE", inputs: [7, 9, 10, 11], outputs: [8], options: { 0: { int: 0 } } },
      { op: "DEQUANTIZE", inputs: [12], outputs: [13] },
      { op: "SUB", inputs: [8, 13], outputs: [14], options: { 0: { byte: 0 } } },
      { op: "QUANTIZE", inputs: [14], outputs: [15] },
    ],
  };
  const init = {
    tensors: [handle, { ...f32(2, 4), data: float32Bytes(1, 2, 3, 4, 5, 6, 7, 8) }],
    inputs: [],
    outputs: [],
    operators: [
      { op: "VAR_HANDLE", inputs: [], outputs: [0], options: name },
      { op: "ASSIGN_VARIABLE", inputs: [0, 1], outputs: [] },
    ],
  };
  return testModel([main, init], { description: "rich", metadata: { labels: "a\nb" }, signatures: [{ key: "main", subgraph: 0 }] });
}

const HUGE = [0x7fffffff, -1, -0x80000000, 0x10000, 0xffff, 0x40000000];

/** One of the ways a file gets damaged, or is made to hurt. */
function mutate(original: Uint8Array, random: Xorshift32): Uint8Array {
  const bytes = original.slice();
  const at = random.int(0, bytes.length - 1);
  const view = new DataView(bytes.buffer);
  const word = Math.min(at & ~3, bytes.length - 4);
  switch (random.int(0, 5)) {
    case 0:
      return bytes.subarray(0, at);
    case 1:
      bytes[at] = bytes[at]! ^ (1 << random.int(0, 7));
      return bytes;
    case 2:
      bytes[at] = random.int(0, 255);
      return bytes;
    case 3:
      view.setInt32(word, HUGE[random.int(0, HUGE.length - 1)]!, true);
      return bytes;
    case 4:
      view.setInt32(word, random.int(0, bytes.length * 2), true);
      return bytes;
    default:
      for (let i = 0; i < 4; i++) bytes[random.int(0, bytes.length - 1)] = random.int(0, 8);
      return bytes;
  }
}

describe("a hostile file", () => {
  const original = richModel();

  it("starts from one that reads", () => {
    expect(readTflite(original, "rich").nodes.map((node) => node.op)).toEqual([
      "add",
      "readVariable",
      "mul",
      "assignVariable",
      "reshape",
      "stridedSlice",
      "sub",
      "quantize",
    ]);
  });

  it(`gives a graph or one typed error, soon, for ${MUTATIONS} damaged files`, { timeout: 120_000 }, () => {
    expect(damage(original, MUTATIONS, 2024)).toEqual(["bad-file", "graph", "unsupported"]);
  });

  for (const model of ["hello_world", "trained_lstm_int8", "kws", "audio_preprocessor_float"]) {
    it(`of a real model (${model}) too`, { timeout: 120_000 }, (context) => {
      const file = join(needShared(context, "golden"), model, "model.tflite");
      expect(damage(new Uint8Array(readFileSync(file)), 1000, 7)).toContain("bad-file");
    });
  }

  it("cannot describe more than its size holds", () => {
    const relu = (i: number): { op: string; inputs: number[]; outputs: number[] } => ({ op: "RELU", inputs: [i], outputs: [i + 1] });
    const huge: TestTensor = {
      type: "float32",
      shape: [30000, 30000],
      data: float32Bytes(1),
      sparsity: sparsity([0, 1], [], [denseLevel(30000), compressed([0], [0])]),
    };
    const bytes = testModel([{ tensors: [huge, { type: "float32", shape: [30000, 30000] }], inputs: [], outputs: [1], operators: [relu(0)] }]);
    expect(() => readTflite(bytes, "small")).toThrow("far more than its size");
  });
});

/** The kinds of outcome over damaged copies of a file, each reached in time. */
function damage(original: Uint8Array, mutations: number, seed: number): string[] {
  const random = new Xorshift32(seed);
  const outcomes = new Set<string>();
  let slowest = 0;
  for (let i = 0; i < mutations; i++) {
    const bytes = mutate(original, random);
    const start = performance.now();
    outcomes.add(outcomeOf(bytes, i));
    slowest = Math.max(slowest, performance.now() - start);
  }
  expect(slowest).toBeLessThan(SLOWEST_MS); // a bound against hanging, not a measure of speed
  return [...outcomes].sort();
}

function outcomeOf(bytes: Uint8Array, i: number): string {
  try {
    const graph = readTflite(bytes, "damaged");
    expectInverse(graph, i);
    return "graph";
  } catch (error) {
    if (error instanceof KingletError) return error.code;
    throw new Error(`mutation ${i} ended in ${String(error)}`, { cause: error });
  }
}

/** Whatever a damaged file gives is written so that it reads back, or refused. Texts without an end are cut each time. */
function expectInverse({ metadata: { "other subgraphs": _left, ...metadata }, ...rest }: Graph, i: number): void {
  const graph = { ...rest, metadata };
  const texts = [...graph.values.map(({ name }) => name), ...Object.entries(metadata).flat()];
  if (texts.some((text) => text.length > 1000)) return;
  const back = readTflite(writeTflite(graph), "damaged");
  if (!isDeepStrictEqual(comparable(back), comparable(graph))) throw new Error(`mutation ${i} gives a graph that does not read back`);
}
