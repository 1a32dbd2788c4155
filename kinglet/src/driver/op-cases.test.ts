import { readFileSync } from "node:fs";
import { strFromU8, unzipSync } from "fflate";
import { describe, expect, test, type TestContext } from "vitest";
import { allocate, bytesOf, type DType, fromBytes } from "../base/index.ts";
import { coreById } from "../boards/index.ts";
import { coreTools, needTools } from "../boards/tool-gate.ts";
import { readModel } from "../formats/index.ts";
import { needShared } from "../formats/test-files.ts";
import type { Graph, Node } from "../graph/index.ts";
import { execute, type Via } from "./execute.ts";
import { caseType, type Counts, countsOf, shows } from "./support-testing.ts";
import { Together } from "./together-testing.ts";

/** A network of one operator with the inputs and results that TensorFlow Lite Micro's own tests hold. */
interface GoldenCase {
  readonly name: string;
  readonly graph: Graph;
  readonly sample: readonly Uint8Array[];
  readonly golden: readonly number[];
}

const KINDS = ["add", "sub", "conv", "transpose_conv", "leaky_relu", "pad", "quantize", "strided_slice"] as const;
const COUNTS: Readonly<Record<(typeof KINDS)[number], number>> = {
  add: 12,
  sub: 4,
  conv: 21,
  transpose_conv: 3,
  leaky_relu: 17,
  pad: 9,
  quantize: 2,
  strided_slice: 21,
};

type Files = Readonly<Record<string, Uint8Array>>;

/** One row of numbers. */
function numbersIn(file: Uint8Array): number[] {
  return strFromU8(file)
    .split(",")
    .map((text) => text.trim())
    .filter((text) => text !== "")
    .map(Number);
}

function bytesFrom(dtype: DType, values: readonly number[]): Uint8Array {
  const data = allocate(dtype, values.length);
  values.forEach((value, i) => (data[i] = data instanceof BigInt64Array || data instanceof BigUint64Array ? BigInt(value) : value));
  return bytesOf(data);
}

/** Contents for the graph's inputs. A file for a tensor that is a constant of the model (an output shape) is not needed. */
function sampleOf(files: Files, stem: string, graph: Graph): Uint8Array[] {
  const contents = Object.keys(files)
    .filter((name) => name.startsWith(`${stem}_input`))
    .sort()
    .map((name) => numbersIn(files[name]!));
  const wanted = contents.length > graph.inputs.length ? contents.slice(-graph.inputs.length) : contents;
  return graph.inputs.map((input, i) => bytesFrom(input.dtype, wanted[i]!));
}

let files: Files | undefined;

function casesOf(context: TestContext, kind: string): GoldenCase[] {
  const path = needShared(context, "data/tflite-op-cases/tflm-seanet.zip");
  const all = (files ??= unzipSync(readFileSync(path)));
  return Object.keys(all)
    .filter((name) => name.startsWith(`${kind}/`) && name.endsWith(".tflite"))
    .sort()
    .map((name) => {
      const stem = name.slice(0, -".tflite".length);
      const graph = readModel(all[name]!, name);
      const golden = Object.keys(all).find((other) => other.startsWith(`${stem}_golden`))!;
      return { name, graph, sample: sampleOf(all, stem, graph), golden: numbersIn(all[golden]!) };
    });
}

/** Differences told as a few places, since a whole tensor would fill the screen. */
function differences(got: ArrayLike<number | bigint>, golden: readonly number[]): string[] {
  const wrong = golden.flatMap((value, i) => (Number(got[i]) === value ? [] : [`[${i}]: ${got[i]}, not ${value}`]));
  return wrong.length === 0 && got.length === golden.length
    ? []
    : [`${wrong.length} of ${golden.length} differ (got ${got.length})`, ...wrong.slice(0, 4)];
}

/** Cases by operator and type. Where several nodes make a case, the one that is tested comes first. */
function rowsOf(cases: readonly GoldenCase[]): Record<string, Counts> {
  const ops = new Set(cases.map(({ graph }) => graph.nodes[0]!.op));
  const typeOf = ({ inputs, outputs }: Node): string =>
    caseType({ inputs: inputs.map((value) => value && { dtype: value.dtype, constant: value.data !== undefined }), outputs });
  const typesOf = (op: string): string[] => cases.flatMap(({ graph: { nodes } }) => (nodes[0]!.op === op ? [typeOf(nodes[0]!)] : []));
  return Object.fromEntries([...ops].map((op) => [op, countsOf(typesOf(op))]));
}

/** The cases of a kind, whose numbers the test is to give in a way. */
function casesFor(context: TestContext, kind: string, way: Via): GoldenCase[] {
  shows(context, { suite: "tflm", way, rows: {} });
  const cases = casesOf(context, kind);
  shows(context, { suite: "tflm", way, rows: rowsOf(cases) });
  return cases;
}

function expectGolden(via: Via, one: GoldenCase, output: Uint8Array): void {
  const got = fromBytes(one.graph.outputs[0]!.dtype, output);
  expect(differences(got as ArrayLike<number | bigint>, one.golden), `${one.name} by ${via}`).toEqual([]);
}

/** All cases of a kind in one program. */
async function expectTogether(via: Via, kind: string, cases: readonly GoldenCase[]): Promise<void> {
  const results = await new Together(`${kind} cases`, cases).results(via);
  cases.forEach((one, i) => {
    expectGolden(via, one, results[i]!.outputs[0]!);
  });
}

describe.each(KINDS)("TensorFlow Lite Micro's 16-bit %s cases", (kind) => {
  test("are all there", (context) => {
    expect(casesOf(context, kind).length).toBe(COUNTS[kind]);
  });

  for (const via of ["plain", "js", "wasm"] as const) {
    test(`give the golden numbers by ${via}`, async (context) => {
      for (const one of casesFor(context, kind, via)) expectGolden(via, one, (await execute(one.graph, via, [one.sample])).outputs[0]![0]!);
    }, 60_000);
  }

  test("give the golden numbers by host C", async (context) => {
    const cases = casesFor(context, kind, "c");
    needTools(context, "cc");
    await expectTogether("c", kind, cases);
  }, 120_000);

  test("give the golden numbers by the emulated Cortex-M4", async (context) => {
    const cases = casesFor(context, kind, "cortex-m4");
    needTools(context, ...coreTools(coreById("cortex-m4")));
    await expectTogether("cortex-m4", kind, cases);
  }, 120_000);
});
