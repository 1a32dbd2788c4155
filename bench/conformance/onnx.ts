import { isDeepStrictEqual } from "node:util";
import { fromBytes, KingletError } from "../../kinglet/src/base/index.ts";
import { execute, type Sample } from "../../kinglet/src/driver/index.ts";
import { nameless } from "../../kinglet/src/formats/graph-testing.ts";
import { readOnnx, writeOnnx } from "../../kinglet/src/formats/index.ts";
import type { Graph, Value } from "../../kinglet/src/graph/index.ts";
import { openOnnx } from "../js/engines.mjs";
import { compare, type Difference, isClose, messageOf, type Outputs } from "./difference.ts";
import { evaluateInDouble } from "./double.ts";
import { MOST_STEPS } from "./quantized.ts";
import { compareLayers, countLayers, type LayerCount } from "./quantized-layers.ts";
import type { Subject } from "./subjects.ts";

/**
 * What a network computes with. Integers are rounded by a product of floats in ONNX Runtime. Where only weights are integers, Kinglet
 * rounds the inputs of each layer as TensorFlow Lite does, and ONNX has no such layer: the file's weights become floats.
 */
type Arithmetic = "floats" | "integers" | "floats and integer weights";

/** What came of writing one network as ONNX. */
export interface CheckedOnnx {
  readonly name: string;
  readonly arithmetic: Arithmetic;
  /** The writer's refusal; nothing else is known then. */
  readonly refused?: string;
  readonly fileBytes?: number;
  /** What reading gives: the graph that was written, or one that computes the same bits, or how far it lies from it. */
  readonly readsBack?: "same graph" | Difference;
  /** Why ONNX Runtime did not run it. */
  readonly engineRefuses?: string;
  /** The written file in ONNX Runtime against the network as WebAssembly. */
  readonly kinglet?: Difference;
  /** The written file against the .onnx file that the network came from, both in ONNX Runtime. */
  readonly original?: Difference;
  /** Of integer networks: every quantized tensor of the written file by itself, on the first sample. */
  readonly layers?: LayerCount;
  /** Of float networks that lie apart: how far each lies from the same network in double precision. */
  readonly fromDouble?: { readonly kinglet: Difference; readonly runtime: Difference };
}

async function runKinglet(graph: Graph, samples: readonly Sample[]): Promise<Outputs[]> {
  const { outputs } = await execute(graph, "wasm", samples);
  return outputs.map((each) => each.map((bytes, i) => fromBytes(graph.outputs[i]!.dtype, bytes)));
}

async function runOnnx(peers: string, bytes: Uint8Array, { inputs }: Graph, samples: readonly Sample[]): Promise<Outputs[]> {
  const network = await openOnnx(peers, bytes);
  const results: Outputs[] = [];
  for (const sample of samples)
    results.push(await network.run(inputs.map(({ dtype, shape }, i) => ({ dtype, shape, data: fromBytes(dtype, sample[i]!) }))));
  return results;
}

async function readBack(graph: Graph, bytes: Uint8Array, { name, samples }: Subject, wanted: readonly Outputs[]): Promise<"same graph" | Difference> {
  const back = readOnnx(bytes, name);
  return isDeepStrictEqual(nameless(back), nameless(graph)) ? "same graph" : compare(await runKinglet(back, samples), wanted);
}

async function layersOf(peers: string, bytes: Uint8Array, { name, graph, samples }: Subject): Promise<LayerCount> {
  const inputs = samples[0]!.map((input, i) => fromBytes(graph.inputs[i]!.dtype, input));
  return countLayers(await compareLayers(peers, bytes, name, inputs));
}

function arithmeticOf({ nodes }: Graph): Arithmetic {
  const isInteger = (value: Value | null | undefined): boolean => value?.quantization !== undefined;
  if (nodes.some(({ outputs }) => isInteger(outputs[0]))) return "integers";
  return nodes.some(({ inputs }) => isInteger(inputs[1])) ? "floats and integer weights" : "floats";
}

/** Writes a network as ONNX, reads it back, and runs what was written in ONNX Runtime. */
export async function checkOnnx(subject: Subject, peers: string): Promise<CheckedOnnx> {
  const { name, graph, samples, original, format } = subject;
  const about = { name, arithmetic: arithmeticOf(graph) };
  let bytes: Uint8Array;
  try {
    bytes = writeOnnx(graph);
  } catch (error) {
    if (error instanceof KingletError) return { ...about, refused: error.message };
    throw error;
  }
  const wanted = await runKinglet(graph, samples);
  const written = { ...about, fileBytes: bytes.length, readsBack: await readBack(graph, bytes, subject, wanted) };
  try {
    const got = await runOnnx(peers, bytes, graph, samples);
    const before = format === "onnx" ? { original: compare(got, await runOnnx(peers, original!, graph, samples)) } : {};
    const kinglet = compare(got, wanted);
    const result = { ...written, kinglet, ...before };
    if (isClose(kinglet)) return result;
    if (about.arithmetic === "integers") return { ...result, layers: await layersOf(peers, bytes, subject) };
    if (about.arithmetic !== "floats") return result;
    const exact = samples.map((sample) => evaluateInDouble(graph, sample));
    return { ...result, fromDouble: { kinglet: compare(wanted, exact), runtime: compare(got, exact) } };
  } catch (error) {
    return { ...written, engineRefuses: messageOf(error) };
  }
}

/** In a word. Integers may differ by what rounding makes of each layer, and by what later layers make of that. */
export function onnxVerdict({ refused, engineRefuses, kinglet, arithmetic, layers, fromDouble }: CheckedOnnx): string {
  if (refused !== undefined) return "not written";
  if (kinglet === undefined || engineRefuses !== undefined) return "not run";
  if (isClose(kinglet)) return "equal";
  if (arithmetic === "floats and integer weights") return "inputs not rounded";
  if (fromDouble !== undefined) return fromDouble.kinglet.float <= fromDouble.runtime.float ? "Kinglet nearer" : "DIFFERENT";
  return layers !== undefined && layers.steps <= MOST_STEPS ? "rounded otherwise" : "DIFFERENT";
}
