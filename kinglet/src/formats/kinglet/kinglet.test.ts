import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { strToU8, strFromU8, unzipSync, zipSync } from "fflate";
import { describe, expect, it } from "vitest";
import { bytesOf, KingletError, numberToFloat16, float16ToNumber, type TypedArray, Xorshift32 } from "../../base/index.ts";
import { caseType, countsOf, shows } from "../../driver/support-testing.ts";
import { type Graph, GraphBuilder, printGraph } from "../../graph/index.ts";
import { caseGraph, type OpDef, OPS } from "../../ops/index.ts";
import { readModel } from "../index.ts";
import { needShared } from "../test-files.ts";
import { readKinglet } from "./read.ts";
import { GRAPH_ENTRY } from "./schema.ts";
import { writeKinglet } from "./write.ts";

/** Something of everything: constants of several kinds, a variable, odd numbers and names, an absent input, texts. */
function richGraph(): Graph {
  const b = new GraphBuilder('rich "ü" \u2028');
  const q = { scales: [0.05], zeroPoints: [-3], axis: 0 };
  const x = b.input("x", { dtype: "int8", shape: [1, 8], quantization: q });
  const w = b.constant(
    "w",
    {
      dtype: "int8",
      shape: [8, 8],
      quantization: { scales: Array.from({ length: 8 }, (_, i) => 0.1 / (i + 3)), zeroPoints: new Array(8).fill(0), axis: 0 },
    },
    Int8Array.from({ length: 64 }, (_, i) => (i % 15) - 7),
  );
  const y = b.value("y", { dtype: "int8", shape: [1, 8], quantization: q });
  b.node("fullyConnected", [x, w, null], [y], { activation: "none", keepDims: false });
  const real = b.value("real", { dtype: "float32", shape: [1, 8] });
  b.node("dequantize", [y], [real]);
  const odd = b.constant("odd", { dtype: "float32", shape: [1, 8] }, Float32Array.of(Number.NaN, Infinity, -Infinity, -0, 1e-45, 3.3, -2, 1));
  const half = b.constant(
    "half",
    { dtype: "float32", shape: [64] },
    Float32Array.from({ length: 64 }, (_, i) => float16ToNumber(i * 997)),
  );
  const sum = b.value("sum", { dtype: "float32", shape: [1, 8] });
  b.node("add", [real, odd], [sum], { activation: "relu" });
  const state = b.variable("state", { dtype: "float32", shape: [1, 8] }, Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8));
  b.node("assignVariable", [state, sum], []);
  const leaky = b.value("leaky", { dtype: "float32", shape: [64] });
  b.node("leakyRelu", [half], [leaky], { alpha: -0 });
  const wide = b.constant("wide", { dtype: "int64", shape: [2] }, BigInt64Array.of(-(2n ** 63n), 5n));
  const cast = b.value("cast", { dtype: "float32", shape: [2] });
  b.node("cast", [wide], [cast], { dtype: "float32" });
  for (const value of [sum, leaky, cast]) b.output(value);
  b.note("labels", "a\nb");
  b.note("empty", "");
  return b.build();
}

/** The graph with numbers for values and text for their contents, which compares quickly. */
function plainForm(graph: Graph): unknown {
  const hex = (data: TypedArray | undefined): string | undefined => (data === undefined ? undefined : Buffer.from(bytesOf(data)).toString("base64"));
  return {
    ...graph,
    values: graph.values.map((value) => ({ ...value, data: hex(value.data), initial: hex(value.initial) })),
    nodes: graph.nodes.map((node) => ({
      ...node,
      inputs: node.inputs.map((value) => value?.id ?? null),
      outputs: node.outputs.map((value) => value.id),
    })),
    inputs: graph.inputs.map((value) => value.id),
    outputs: graph.outputs.map((value) => value.id),
  };
}

function expectSame(graph: Graph): void {
  const file = writeKinglet(graph);
  const back = readKinglet(file, "x.kinglet");
  expect(plainForm(back)).toEqual(plainForm(graph));
  expect(printGraph(back)).toBe(printGraph(graph));
  expect(Buffer.compare(writeKinglet(back), file)).toBe(0);
}

/** A file whose `graph.json` was changed as text, its weights being as they were. */
function withText(change: (text: string) => string): Uint8Array {
  const entries = unzipSync(writeKinglet(richGraph()));
  return zipSync({ ...entries, [GRAPH_ENTRY]: strToU8(change(strFromU8(entries[GRAPH_ENTRY]!))) });
}

describe("a .kinglet file", () => {
  it("gives back every bit, and is told by its contents", () => {
    expectSame(richGraph());
    expect(readModel(writeKinglet(richGraph()), "x").nodes).toHaveLength(6);
  });

  it("stores 4-bit and half-precision contents in their own size", () => {
    const entries = unzipSync(writeKinglet(richGraph()));
    const json = JSON.parse(strFromU8(entries[GRAPH_ENTRY]!)) as { values: { name: string; data?: { bytes: number; encoding?: string } }[] };
    const data = (name: string): unknown => json.values.find((value) => value.name === name)?.data;
    expect(data("w")).toMatchObject({ bytes: 32, encoding: "int4" });
    expect(data("odd")).toMatchObject({ bytes: 32 });
  });

  it("stores contents that values share once", () => {
    const b = new GraphBuilder("shared");
    const data = new Float32Array(1000).map((_, i) => 1 / (i + 3));
    const sum = b.value("sum", { dtype: "float32", shape: [1000] });
    b.node("add", [b.constant("a", { dtype: "float32", shape: [1000] }, data), b.constant("b", { dtype: "float32", shape: [1000] }, data)], [sum], {
      activation: "none",
    });
    b.output(sum);
    const back = readKinglet(writeKinglet(b.build()), "x");
    expect(back.values[1]!.data).toBe(back.values[2]!.data);
  });

  it.for(Object.values(OPS as Record<string, OpDef>))("keeps the examples of $name to the bit", (op, context) => {
    expectSame(caseGraph(op, new Xorshift32(6)).graph);
    shows(context, { suite: "kinglet", way: "file", rows: { [op.name]: countsOf(op.cases.map(caseType)) } });
  });

  for (const model of goldenModels()) {
    it(`keeps ${model} to the bit`, (context) => {
      const file = join(needShared(context, "golden"), model, "model.tflite");
      expectSame(readModel(new Uint8Array(readFileSync(file)), model));
    });
  }

  it.each<[string, (text: string) => string, RegExp, string]>([
    ["another format", (t) => t.replace("kinglet graph", "penguin graph"), /format/, "bad-file"],
    ["a later version", (t) => t.replace('"version":1', '"version":2'), /version 2/, "unsupported"],
    ["an unknown operator", (t) => t.replace('"op":"leakyRelu"', '"op":"frobnicate"'), /frobnicate/, "unsupported"],
    ["a missing attribute", (t) => t.replace('"keepDims":false', '"kept":false'), /keepDims/, "bad-file"],
    ["an attribute of another kind", (t) => t.replace('"keepDims":false', '"keepDims":"no"'), /keepDims.*string/, "bad-file"],
    ["an unknown activation", (t) => t.replace('"activation":"relu"', '"activation":"__proto__"'), /activation/, "bad-file"],
    [
      "a shape that the operator does not give",
      (t) => t.replace('"name":"y","dtype":"int8","shape":[1,8]', '"name":"y","dtype":"int8","shape":[2,4]'),
      /shape/,
      "bad-file",
    ],
    ["contents beyond the end", (t) => t.replace('"offset":0', '"offset":99999'), /beyond the end/, "bad-file"],
    ["contents of another size", (t) => t.replace('"bytes":32,"encoding":"int4"', '"bytes":31,"encoding":"int4"'), /do not fit/, "bad-file"],
    ["other weights", (t) => t.replace(/"crc32":\d+/, '"crc32":1'), /not those that were written/, "bad-file"],
    ["a value that is not there", (t) => t.replace('"inputs":[0]', '"inputs":[77]'), /does not exist/, "bad-file"],
    ["two values of one id", (t) => t.replace('"id":1', '"id":0'), /one id/, "bad-file"],
    ["no JSON", () => "{", /JSON/, "bad-file"],
    ["an empty object", () => "{}", /format/, "bad-file"],
  ])("refuses %s", (_what, change, message, code) => {
    expect(() => readKinglet(withText(change), "x.kinglet")).toThrow(message);
    expect(() => readKinglet(withText(change), "x.kinglet")).toThrow(expect.objectContaining({ code }));
  });

  it("cannot describe more than its size holds", () => {
    const file = withText((text) => {
      const json = JSON.parse(text) as { values: { id: number }[] };
      const w = json.values.find((value) => value.id === 1)!;
      for (let i = 0; i < 9000; i++)
        json.values.push({
          ...w,
          id: 100 + i,
          dtype: "uint8",
          shape: [1 + (i % 300)],
          data: { offset: i % 16, bytes: 1 + (i % 300) },
          quantization: undefined,
        } as never);
      return JSON.stringify(json);
    });
    expect(() => readKinglet(file, "x")).toThrow("far more than the file");
  });

  it("may not claim to unpack to more than deflate can shrink", () => {
    const file = writeKinglet(richGraph());
    const central = Buffer.from(file).indexOf(Buffer.from([0x50, 0x4b, 1, 2]));
    const view = new DataView(file.buffer, file.byteOffset);
    view.setUint32(central + 24, 2 ** 26 - 1, true);
    expect(() => readKinglet(file, "x")).toThrow("claims to unpack");
  });
});

describe("a hostile .kinglet file", () => {
  it("gives a graph or one typed error for 3000 damaged files", { timeout: 120_000 }, () => {
    expect(damage(writeKinglet(richGraph()), 3000, 5, false)).toContain("bad-file");
  });

  it("gives a graph or one typed error for 4000 damaged texts", { timeout: 120_000 }, () => {
    expect(damage(writeKinglet(richGraph()), 4000, 6, true)).toEqual(["bad-file", "graph", "unsupported"]);
  });
});

function goldenModels(): string[] {
  const root = process.env["KINGLET_SHARED"];
  const always = ["kws", "resnet8", "trained_lstm_int8", "mlperf_pretrainedResnet"];
  if (root === undefined) return always;
  return readdirSync(join(root, "golden"), { withFileTypes: true }).flatMap((entry) =>
    // Its custom signal operators are not read from .tflite.
    entry.isDirectory() && entry.name !== "audio_preprocessor_float" ? [entry.name] : [],
  );
}

const PIECES = ["-1", "1e99", "null", "[]", "{}", '"x"', "4294967296", "true", ",", "]", "0"];

function mutate(original: Uint8Array, random: Xorshift32): Uint8Array {
  const bytes = original.slice();
  for (let i = 0; i <= random.int(0, 2); i++) bytes[random.int(0, bytes.length - 1)] = random.int(0, 255);
  return random.int(0, 5) === 0 ? bytes.subarray(0, random.int(0, bytes.length)) : bytes;
}

/** Replaces a number, a word or a letter of the JSON text. */
function mutateText(text: string, random: Xorshift32): string {
  const words = [...text.matchAll(/-?\d+(?:\.\d+)?|"\w+"|[[\]{},:]/g)];
  const word = words[random.int(0, words.length - 1)]!;
  return text.slice(0, word.index) + PIECES[random.int(0, PIECES.length - 1)]! + text.slice(word.index + word[0].length);
}

function damage(original: Uint8Array, mutations: number, seed: number, inText: boolean): string[] {
  const random = new Xorshift32(seed);
  const entries = unzipSync(original);
  const text = strFromU8(entries[GRAPH_ENTRY]!);
  const outcomes = new Set<string>();
  for (let i = 0; i < mutations; i++) {
    const bytes = inText ? zipSync({ ...entries, [GRAPH_ENTRY]: strToU8(mutateText(text, random)) }, { level: 0 }) : mutate(original, random);
    outcomes.add(outcomeOf(bytes, i));
  }
  return [...outcomes].sort();
}

function outcomeOf(bytes: Uint8Array, i: number): string {
  try {
    readKinglet(bytes, "damaged");
    return "graph";
  } catch (error) {
    if (error instanceof KingletError) return error.code;
    throw new Error(`mutation ${i} ended in ${String(error)}`, { cause: error });
  }
}

describe("half precision", () => {
  it("gives back all 65,536 patterns but the payloads of NaN", () => {
    for (let bits = 0; bits < 65536; bits++) {
      const x = float16ToNumber(bits);
      if (!Number.isNaN(x)) expect(numberToFloat16(x)).toBe(bits);
    }
  });

  it.each([
    [1 + 2 ** -11, 0x3c00],
    [1 + 3 * 2 ** -11, 0x3c02],
    [1 + 2 ** -11 + 2 ** -20, 0x3c01],
    [65504, 0x7bff],
    [65520, 0x7c00],
    [65519, 0x7bff],
    [2 ** -25, 0],
    [2 ** -25 * 1.0001, 1],
    [-(2 ** -14) * (1 - 2 ** -12), 0x8400],
    [1e300, 0x7c00],
  ])("rounds %d to the nearest, ties to even", (x, bits) => expect(numberToFloat16(x)).toBe(bits));
});
