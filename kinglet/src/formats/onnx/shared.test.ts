import { basename } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { describe, expect, it } from "vitest";
import { fromBytes, KingletError } from "../../base/index.ts";
import { execute, seededSample } from "../../driver/index.ts";
import type { Graph } from "../../graph/index.ts";
import { findOp } from "../../ops/index.ts";
import { nameless } from "../graph-testing.ts";
import { readTflite } from "../tflite/index.ts";
import { needShared, zippedFiles } from "../test-files.ts";
import { readOnnx } from "./read.ts";
import { parseModel } from "./schema.ts";
import { writeOnnx } from "./write.ts";

/** Shapes that files leave open. */
const OPEN_SHAPES: Readonly<Record<string, readonly number[]>> = {
  "basic_pitch-nmp.onnx": [1, 43844, 1],
  "tract-keras-example.onnx": [1, 100],
};
/** Of this file's transposes two cancel, so they are not written. */
const SIMPLER = new Set(["basic_pitch-nmp.onnx"]);
/** Where only weights are integers, Kinglet rounds the inputs of layers, and ONNX has no such layer. */
const OTHER_ARITHMETIC = new Set(["dtln-model_quant_1.tflite"]);
/** Larger networks are compared as graphs only. */
const MOST_MACS = 30e6;

const macsOf = ({ nodes }: Graph): number => nodes.reduce((sum, node) => sum + (findOp(node.op)!.macs?.(node) ?? 0), 0);

/** The published networks among the models. */
function* zooFiles(folder: string, extension: string): Iterable<[string, Uint8Array]> {
  for (const [path, bytes] of zippedFiles(folder, extension)) if (path.startsWith("zoo.zip/")) yield [basename(path), bytes];
}

/** The result, or null where the network is refused. */
function unlessRefused<T>(work: () => T): T | null {
  try {
    return work();
  } catch (error) {
    if (error instanceof KingletError && error.code === "unsupported") return null;
    throw error;
  }
}

/** Integers bit for bit; floats may be summed in another order where a layer is another operator. */
async function expectSameNumbers(graph: Graph, back: Graph, name: string): Promise<void> {
  const sample = seededSample(graph, 1);
  const [wanted, got] = [await execute(graph, "wasm", [sample]), await execute(back, "wasm", [sample])];
  graph.outputs.forEach(({ dtype }, i) => {
    const [a, b] = [wanted, got].map(({ outputs }) => Array.from<number | bigint, number>(fromBytes(dtype, outputs[0]![i]!), Number)) as [
      number[],
      number[],
    ];
    const most = dtype === "float32" ? 1e-5 : 0;
    expect(
      a.every((x, k) => Math.abs(x - b[k]!) <= most * Math.max(1, Math.abs(x))),
      `${name}, output ${i}`,
    ).toBe(true);
  });
}

function transposes(bytes: Uint8Array): number {
  return parseModel(bytes, "written").graph!.nodes.filter(({ op }) => op === "Transpose").length;
}

describe("models of the development data, written as ONNX", () => {
  it("reads every .onnx model back as it was", { timeout: 300_000 }, (context) => {
    const folder = needShared(context, "data/models");
    let read = 0;
    for (const [name, bytes] of zooFiles(folder, ".onnx")) {
      const graph = unlessRefused(() => readOnnx(bytes, name, { shapeOf: () => OPEN_SHAPES[name] }));
      if (graph === null) continue;
      const written = writeOnnx(graph);
      const back = readOnnx(written, name);
      if (SIMPLER.has(name)) expect(back.nodes.length, name).toBeLessThan(graph.nodes.length);
      else expect(isDeepStrictEqual(nameless(back), nameless(graph)), name).toBe(true);
      expect(back.inputs.map((value) => value.name)).toEqual(graph.inputs.map((value) => value.name));
      expect(back.outputs.map((value) => value.name)).toEqual(graph.outputs.map((value) => value.name));
      expect(transposes(written), name).toBeLessThanOrEqual(transposes(bytes));
      read++;
    }
    expect(read).toBeGreaterThan(12);
  });

  it("gives the same numbers for every .tflite model that ONNX can hold, and reads back what it read back", { timeout: 300_000 }, async (context) => {
    const folder = needShared(context, "data/models");
    const [refused, written]: [string[], string[]] = [[], []];
    for (const [name, bytes] of zooFiles(folder, ".tflite")) {
      const graph = unlessRefused(() => readTflite(bytes, name));
      if (graph === null) continue;
      const file = unlessRefused(() => writeOnnx(graph));
      if (file === null) {
        refused.push(name);
        continue;
      }
      written.push(name);
      const back = readOnnx(file, name);
      expect(isDeepStrictEqual(nameless(readOnnx(writeOnnx(back), name)), nameless(back)), name).toBe(true);
      if (macsOf(graph) > MOST_MACS || OTHER_ARITHMETIC.has(name)) continue;
      await expectSameNumbers(graph, back, name);
    }
    // Every one of them keeps state or is made of the signal library's operators.
    expect(
      refused.every((name) => /^(mww-|tflm-(audio|keyword|mnist_lstm))/.test(name)),
      refused.join(),
    ).toBe(true);
    expect(written.length).toBeGreaterThan(20);
  });

  it("gives of basic-pitch what its .tflite file gives, to the bit", { timeout: 300_000 }, async (context) => {
    const folder = needShared(context, "data/models");
    const [[, onnx], [, tflite]] = [".onnx", ".tflite"].map((extension) =>
      [...zooFiles(folder, extension)].find(([name]) => name === `basic_pitch-nmp${extension}`),
    ) as [[string, Uint8Array], [string, Uint8Array]];
    const graphs = [readOnnx(onnx, "onnx", { shapeOf: () => OPEN_SHAPES["basic_pitch-nmp.onnx"] }), readTflite(tflite, "tflite")];
    const sample = seededSample(graphs[0]!, 1);
    const [a, b] = await Promise.all(graphs.map(async (graph) => (await execute(graph, "wasm", [sample])).outputs[0]!));
    expect(a).toHaveLength(3);
    expect(a!.map((bytes, i) => Buffer.compare(bytes, b![i]!))).toEqual([0, 0, 0]);
  });
});
