import { describe, expect, test } from "vitest";
import { bytesOf, fromBytes, Xorshift32 } from "../base/index.ts";
import { coreById, isCoreId } from "../boards/index.ts";
import { coreTools, needTools } from "../boards/tool-gate.ts";
import { caseGraph, type OpDef, OPS } from "../ops/index.ts";
import { execute, type Via } from "./execute.ts";
import { type Part, Together } from "./together-testing.ts";

/** What comparisons, and so minima and maxima, treat apart. */
const SPECIAL = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -0, 0];

/** Their WebAssembly multiplies the zeros of a border: infinity times 0 is no number, which the plain loops leave out. */
const BORDERS = ["conv2dInputGradient", "conv2dFilterGradient", "depthwiseConv2dInputGradient", "depthwiseConv2dFilterGradient"];

/** Operators of minima and maxima in every form: clamps, running extremes, pairs. */
const EXTREMES = [
  "relu",
  "relu6",
  "reluN1To1",
  "minimum",
  "maximum",
  "maxPool2d",
  "averagePool2d",
  "reduceMax",
  "reduceMin",
  "softmax",
  "timeStatistics",
];

interface Subject {
  readonly name: string;
  readonly part: Part;
}

/** An operator's floating-point cases; about a third of what they are given is special. */
function subjectOf(op: OpDef): Subject {
  const { graph, inputs } = caseGraph(
    { ...op, cases: op.cases.filter(({ inputs }) => inputs.some((input) => input?.dtype === "float32")) },
    new Xorshift32(1),
  );
  const random = new Xorshift32(7);
  for (const data of inputs)
    if (data instanceof Float32Array)
      data.forEach((_, i) => (data[i] = random.int(0, 2) === 0 ? SPECIAL[random.int(0, SPECIAL.length - 1)]! : data[i]!));
  return { name: op.name, part: { graph, sample: inputs.map(bytesOf) } };
}

const subjects = Object.values(OPS as Record<string, OpDef>)
  .map(subjectOf)
  .filter(({ part }) => part.graph.nodes.length > 0);
/** One NaN is as good as another: their payloads and signs are the machine's choice. */
function numbers(subject: Subject, outputs: readonly Uint8Array[]): number[][] {
  return subject.part.graph.outputs.map(({ dtype }, i) => Array.from(fromBytes(dtype, outputs[i]!) as ArrayLike<number | bigint>, Number));
}

const known = new Map<Subject, number[][]>();
async function plain(subject: Subject): Promise<number[][]> {
  const found = known.get(subject) ?? numbers(subject, (await execute(subject.part.graph, "plain", [subject.part.sample])).outputs[0]!);
  known.set(subject, found);
  return found;
}

describe("with NaN, infinities and zeros of both signs operators give what their plain loops give", () => {
  test.for<Via>(["js", "wasm", "wasm-scalar"])("all of them as %s", async (via) => {
    for (const subject of subjects) {
      const got = numbers(subject, (await execute(subject.part.graph, via, [subject.part.sample])).outputs[0]!);
      const wanted = await plain(subject);
      if (via !== "wasm" || !BORDERS.includes(subject.name)) expect(got, subject.name).toEqual(wanted);
      else wanted.forEach((output, o) => output.forEach((x, i) => Number.isNaN(x) && expect(got[o]![i], subject.name).toBeNaN()));
    }
  });

  const extremes = subjects.filter(({ name }) => EXTREMES.includes(name));
  const together = new Together(
    "special numbers",
    extremes.map(({ part }) => part),
  );
  test.for<Via>(["c", "cortex-m4"])("minima and maxima as %s", async (via, context) => {
    needTools(context, ...(isCoreId(via) ? coreTools(coreById(via)) : (["cc"] as const)));
    expect(extremes).toHaveLength(EXTREMES.length);
    const results = await together.results(via);
    for (const [i, subject] of extremes.entries()) expect(numbers(subject, results[i]!.outputs), subject.name).toEqual(await plain(subject));
  });
});
