import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { bytesOf, elementCount, fromBytes, KingletError, sameShape, shapeText, type TypedArray } from "../base/index.ts";
import { countName, onnxOperators, readOnnx, readTensorFile } from "../formats/index.ts";
import type { Graph, Value } from "../graph/index.ts";
import { execute, type Via } from "./execute.ts";
import type { Sample } from "./tensors.ts";

/** What became of one case: it gave the stored outputs, was refused with a reason, or gave others. */
export interface OnnxCase {
  readonly name: string;
  /** Of the file's graph, each once. */
  readonly operators: readonly string[];
  /** The element type of the first input, or of the output where there is none; null where it is no tensor. */
  readonly type: string | null;
  readonly outcome: "passed" | "refused" | "wrong";
  /** Why it was refused, or where outputs differ. */
  readonly reason?: string;
}

export interface Conformance {
  readonly passed: number;
  readonly refused: number;
  readonly wrong: number;
  readonly cases: readonly OnnxCase[];
}

/** How far floats may lie from the stored ones, as in ONNX's own runner; element types of fewer bits agree less. */
const TOLERANCE = { relative: 1e-3, absolute: 1e-7 };
const NARROW: Readonly<Record<string, typeof TOLERANCE>> = {
  float16: { relative: 5e-3, absolute: 1e-3 },
  bfloat16: { relative: 2e-2, absolute: 1e-2 },
};

type Tensor = ReturnType<typeof readTensorFile>;

function isClose(got: number, expected: number, { relative, absolute }: typeof TOLERANCE): boolean {
  if (Object.is(got, expected) || got === expected) return true;
  return Math.abs(got - expected) <= absolute + relative * Math.abs(expected);
}

function difference(got: TypedArray, output: Value, expected: Tensor): string | null {
  if (expected.element.dtype !== output.dtype) return `output "${output.name}" is ${output.dtype}, expected ${expected.element.name}`;
  if (!sameShape(output.shape, expected.shape)) return `output "${output.name}" is ${shapeText(output.shape)}, expected ${shapeText(expected.shape)}`;
  const tolerance = NARROW[expected.element.name] ?? TOLERANCE;
  for (let i = 0; i < got.length; i++) {
    const [a, b] = [got[i]!, expected.data[i]!];
    if (typeof a === "bigint" ? a !== b : !isClose(a, b as number, output.dtype === "float32" ? tolerance : { relative: 0, absolute: 0 }))
      return `output "${output.name}": element ${i} is ${a}, expected ${b}`;
  }
  return null;
}

async function readTensors(folder: string, kind: "input" | "output"): Promise<Tensor[]> {
  const names = (await readdir(folder)).filter((name) => name.startsWith(`${kind}_`) && name.endsWith(".pb"));
  return await Promise.all(names.map(async (_, i) => readTensorFile(await readFile(join(folder, `${kind}_${i}.pb`)), `${kind}_${i}.pb`)));
}

/** Reads the model for these inputs: open shapes are theirs, and so are contents that must be known before the network runs. */
function modelFor(bytes: Uint8Array, name: string, inputs: readonly Tensor[]): Graph {
  return readOnnx(bytes, name, { shapeOf: (_, i) => inputs[i]?.shape, contents: (i) => inputs[i]?.data });
}

/** The inputs of a set. What the model itself is refused for says more than that one of them is no tensor. */
async function readInputs(model: Uint8Array, name: string, folder: string): Promise<Tensor[]> {
  try {
    return await readTensors(folder, "input");
  } catch (error) {
    modelFor(model, name, []);
    throw error;
  }
}

async function runSet(model: Uint8Array, name: string, folder: string, ways: readonly Via[]): Promise<string | null> {
  const inputs = await readInputs(model, name, folder);
  const graph = modelFor(model, name, inputs);
  const given = inputs.filter((input) => input.data.length > 0);
  if (given.length < graph.inputs.length)
    throw new KingletError("bad-input", `the case has ${given.length} inputs and the model ${graph.inputs.length}`);
  const sample = graph.inputs.map((_, i) => bytesOf(given[i]!.data));
  return await compareRuns(graph, sample, await readTensors(folder, "output"), ways);
}

/** Large networks come without inputs: ONNX's own runner gives them numbers that rise from 0 to 1. */
function risingInputs(graph: Graph): Sample {
  return graph.inputs.map(({ dtype, shape, name }) => {
    if (dtype !== "float32") throw new KingletError("unsupported", `the case has no inputs, and "${name}" is ${dtype}`);
    const count = elementCount(shape);
    return bytesOf(Float32Array.from({ length: count }, (_, i) => i / count));
  });
}

/** An output of a model that stands alone, from the file beside it: NAME.onnx, NAME_output_0.pb … */
async function outputBeside(path: string, i: number): Promise<Tensor> {
  return readTensorFile(await readFile(`${path.replace(/\.onnx$/, "")}_output_${i}.pb`), `output_${i}.pb`);
}

async function runAlone(model: Uint8Array, path: string, ways: readonly Via[]): Promise<string | null> {
  const graph = readOnnx(model, path);
  const outputs = await Promise.all(graph.outputs.map((_, i) => outputBeside(path, i)));
  return await compareRuns(graph, risingInputs(graph), outputs, ways);
}

/** An output's contents and type: its first rows, where another output says how many count. */
function countedRows({ outputs }: Graph, index: number, results: readonly Uint8Array[]): [TypedArray, Value] {
  const output = outputs[index]!;
  const data = fromBytes(output.dtype, results[index]!);
  const place = outputs.findIndex(({ name }) => name === countName(output.name));
  if (place < 0) return [data, output];
  const rows = Number(fromBytes(outputs[place]!.dtype, results[place]!)[0]);
  const shape = [rows, ...output.shape.slice(1)];
  return [data.slice(0, elementCount(shape)), { ...output, shape }];
}

/** Where a run in one of these ways differs from the outputs, or null. */
async function compareRuns(graph: Graph, sample: Sample, outputs: readonly Tensor[], ways: readonly Via[]): Promise<string | null> {
  for (const via of ways) {
    const run = await execute(graph, via, [sample]);
    for (const [i, expected] of outputs.entries()) {
      const output = graph.outputs[i];
      if (output === undefined) return `output ${i} is missing`;
      const wrong = difference(...countedRows(graph, i, run.outputs[0]!), expected);
      if (wrong !== null) return `${via}: ${wrong}`;
    }
  }
  return null;
}

async function typeOf(folder: string | undefined): Promise<string | null> {
  if (folder === undefined) return null;
  for (const kind of ["input", "output"] as const) {
    const [first] = await readTensors(folder, kind).catch(() => [undefined]);
    if (first !== undefined) return first.element.name;
  }
  return null;
}

async function outputType(path: string): Promise<string | null> {
  const output = await outputBeside(path, 0).catch(() => null);
  return output === null ? null : output.element.name;
}

/** The sets of a case that has a folder of its own. */
async function setsOf(path: string): Promise<string[]> {
  if (path.endsWith(".onnx")) return [];
  const entries = await readdir(path);
  return entries
    .filter((entry) => entry.startsWith("test_data_set_"))
    .sort()
    .map((entry) => join(path, entry));
}

/** Where one of the sets differs, or null. */
async function runSets(model: Uint8Array, name: string, sets: readonly string[], ways: readonly Via[]): Promise<string | null> {
  for (const set of sets) {
    const wrong = await runSet(model, name, set, ways);
    if (wrong !== null) return wrong;
  }
  return null;
}

async function runCase(path: string, name: string, ways: readonly Via[]): Promise<OnnxCase> {
  const alone = path.endsWith(".onnx");
  const [model, sets] = [await readFile(alone ? path : join(path, "model.onnx")), await setsOf(path)];
  const about = { name, operators: onnxOperators(model, name), type: await (alone ? outputType(path) : typeOf(sets[0])) };
  try {
    const wrong = await (alone ? runAlone(model, path, ways) : runSets(model, name, sets, ways));
    return wrong === null ? { ...about, outcome: "passed" } : { ...about, outcome: "wrong", reason: wrong };
  } catch (error) {
    if (!(error instanceof KingletError)) throw error;
    // A refusal speaks of the file; an error of Kinglet's own is a wrong answer.
    return { ...about, outcome: error.code === "internal" ? "wrong" : "refused", reason: error.message };
  }
}

/**
 * Runs every case of a folder of ONNX backend cases (CASE/model.onnx, CASE/test_data_set_N/input_I.pb and output_I.pb, or CASE.onnx and
 * CASE_output_I.pb) in each way.
 * `done` is told of each case. @throws KingletError `bad-input` where there are none
 */
export async function runOnnxCases(folder: string, ways: readonly Via[], done: (one: OnnxCase) => void = () => {}): Promise<Conformance> {
  const entries = await readdir(folder, { withFileTypes: true });
  const names = entries.filter((entry) => entry.isDirectory() || entry.name.endsWith(".onnx")).map((entry) => entry.name);
  const cases: OnnxCase[] = [];
  for (const name of names.sort()) {
    const one = await runCase(join(folder, name), name, ways);
    cases.push(one);
    done(one);
  }
  if (cases.length === 0)
    throw new KingletError("bad-input", "there are no cases in this folder", { place: folder, hint: "A case is a folder with a model.onnx." });
  const count = (outcome: OnnxCase["outcome"]): number => cases.filter((one) => one.outcome === outcome).length;
  return { passed: count("passed"), refused: count("refused"), wrong: count("wrong"), cases };
}
