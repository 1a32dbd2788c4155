import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test, type TestContext } from "vitest";
import { type DType, dtypeBytes, elementCount, fromBytes } from "../base/index.ts";
import { type CoreId, coreById, isCoreId } from "../boards/index.ts";
import { coreTools, needTools } from "../boards/tool-gate.ts";
import { readModel } from "../formats/index.ts";
import { needShared } from "../formats/test-files.ts";
import type { Graph } from "../graph/index.ts";
import { type Compiled, compileGraph, type TargetId } from "./compile.ts";
import { executeCompiled, targetOf, type Via } from "./execute.ts";
import type { Sample } from "./tensors.ts";

interface GoldenTensor {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly file: string;
}

interface Golden {
  readonly inputs: readonly GoldenTensor[];
  readonly outputs: readonly GoldenTensor[];
  readonly samples: readonly unknown[];
}

const FLOAT_TOLERANCE = 1e-5;

/** Models by MACs; the smaller half runs on every core. */
const SMALL = [
  "hello_world",
  "hello_world_float",
  "simple_add_model",
  "simple_add_model_tflite_size",
  "keyword_scrambled",
  "trained_lstm_int8",
  "micro_speech",
  "ad01",
  "mlperf_ad01_fp32",
  "strww",
  "audio_preprocessor_float",
];
const LARGE = ["kws", "person_detect", "vww96", "mlperf_vww_96_float", "resnet8", "mlperf_pretrainedResnet", "mcunet_vww", "mcunetv2_large"];
/** Large models that run on every core, too: between them they have every kernel. */
const EVERYWHERE = ["kws", "vww96", "resnet8"];
const ALWAYS: readonly Via[] = ["plain", "js", "wasm", "wasm-scalar", "c", "cortex-m4"];
const MORE_CORES: readonly Via[] = ["cortex-m0", "cortex-m7", "cortex-m55", "rv32"];

function readTensors(folder: string, tensors: readonly GoldenTensor[], k: number): Uint8Array[] {
  return tensors.map((tensor) => new Uint8Array(readFileSync(join(folder, tensor.file.replace("%d", String(k))))));
}

function gate(context: TestContext, via: Via): void {
  if (via === "c") needTools(context, "cc");
  if (isCoreId(via)) needTools(context, ...coreTools(coreById(via as CoreId)));
}

function expectClose(got: Uint8Array, want: Uint8Array, tensor: GoldenTensor, name: string): void {
  if (tensor.dtype !== "float32") {
    expect(Buffer.from(got).toString("hex"), name).toBe(Buffer.from(want).toString("hex"));
    return;
  }
  const [a, b] = [fromBytes("float32", got) as Float32Array, fromBytes("float32", want) as Float32Array];
  expect(a.length, name).toBe(b.length);
  const largest = b.reduce((most, value) => Math.max(most, Math.abs(value)), 1);
  a.forEach((value, i) => expect(Math.abs(value - b[i]!) / largest, `${name}[${i}]`).toBeLessThanOrEqual(FLOAT_TOLERANCE));
}

interface Loaded {
  readonly graph: Graph;
  readonly golden: Golden;
  readonly samples: readonly Sample[];
  readonly folder: string;
}

function load(context: TestContext, model: string): Loaded {
  const folder = needShared(context, join("golden", model));
  expect(statSync(folder).isDirectory()).toBe(true);
  const golden = JSON.parse(readFileSync(join(folder, "golden.json"), "utf8")) as Golden;
  const graph = readModel(new Uint8Array(readFileSync(join(folder, "model.tflite"))), model);
  return { graph, golden, folder, samples: golden.samples.map((_, i) => readTensors(folder, golden.inputs, i + 1)) };
}

/** What a model became for its last targets: several cores run the same program. */
const programs = new Map<TargetId, { readonly model: string; readonly compiled: Compiled }>();

function compiledFor(model: string, graph: Graph, via: Via): Compiled {
  const target = targetOf(via);
  const known = programs.get(target);
  if (known?.model === model) return known.compiled;
  const compiled = compileGraph(graph, { target });
  programs.set(target, { model, compiled });
  return compiled;
}

async function check(context: TestContext, model: string, via: Via): Promise<void> {
  gate(context, via);
  const { graph, golden, folder, samples } = load(context, model);
  expect(golden.outputs.every((tensor) => tensor.shape.length >= 0 && dtypeBytes(tensor.dtype) * elementCount(tensor.shape) > 0)).toBe(true);
  const run = await executeCompiled(compiledFor(model, graph, via), via, samples);
  run.outputs.forEach((outputs, k) => {
    const want = readTensors(folder, golden.outputs, k + 1);
    outputs.forEach((bytes, i) => expectClose(bytes, want[i]!, golden.outputs[i]!, `sample ${k + 1}, output ${i}`));
  });
  expect(run.warnings).toBe("");
  // The linker map agrees with the printed number to the byte.
  if (via === "cortex-m4") expect(run.core!.weightBytes).toBe(run.compiled.weightBytes);
}

for (const model of [...SMALL, ...LARGE]) {
  describe(`${model} gives the stored outputs`, () => {
    for (const via of SMALL.includes(model) || EVERYWHERE.includes(model) ? [...ALWAYS, ...MORE_CORES] : ALWAYS) {
      test(`on ${via}`, async (context) => await check(context, model, via));
    }
  });
}
