import { KingletError } from "../base/index.ts";
import type { Graph } from "../graph/index.ts";
import type { Optimize } from "../targets/share.ts";
import { differenceText, firstDifference } from "./compare.ts";
import { type CoreFigures, type Execution, execute, type Via } from "./execute.ts";
import type { Sample } from "./tensors.ts";
import { seededSample } from "./samples.ts";

/** Stored inputs and what they must give; an output that is not stored is null. */
export interface VerifyCase {
  readonly name: string;
  readonly inputs: Sample;
  readonly outputs: readonly (Uint8Array | null)[];
}

export interface VerifyOptions {
  readonly vias: readonly Via[];
  readonly cases?: readonly VerifyCase[];
  /** Compare every value of the graph, and name the first node that differs. */
  readonly layers?: boolean;
  readonly optimize?: Optimize;
  readonly onStart?: (via: Via) => void;
}

/** The verdict on one way of running the network. */
export interface ViaResult extends Partial<CoreFigures> {
  readonly via: Via;
  /** Null where it could not run. */
  readonly equal: boolean | null;
  readonly skipped?: string;
  /** The first difference in words. */
  readonly difference?: string;
  /** With `layers`: the first node whose result differs. */
  readonly firstNode?: { readonly name: string; readonly op: string; readonly value: string; readonly difference: string };
  readonly valuesCompared?: number;
}

export interface Verification {
  /** At least one way ran, and all that ran are equal. */
  readonly ok: boolean;
  readonly samples: number;
  readonly cases: number;
  readonly results: readonly ViaResult[];
  /** The runs behind the results, for a report. */
  readonly executions: readonly Execution[];
}

const SEEDS = [1, 2] as const;

/** The first difference of a run's outputs from what was expected, in words. */
export function outputDifference(
  got: Execution,
  expected: readonly (readonly (Uint8Array | null)[])[],
  label: (sample: number) => string,
): string | undefined {
  for (const [s, outputs] of expected.entries()) {
    for (const [i, bytes] of outputs.entries()) {
      const port = got.compiled.program.outputs[i]!;
      const found = bytes === null ? null : firstDifference(port.dtype, got.outputs[s]![i]!, bytes);
      if (found !== null) return `${label(s)}: output ${i} "${port.name}" ${differenceText(found)}`;
    }
  }
  return undefined;
}

type LayerResult = Pick<ViaResult, "firstNode" | "valuesCompared">;

/** Compares the values in node order; what is a view of another value has no bytes of its own. */
export function compareLayers(got: Execution, plain: Execution): LayerResult {
  let valuesCompared = 0;
  for (const node of plain.compiled.graph.nodes) {
    for (const value of node.outputs) {
      const [a, b] = [got.values?.get(value.id), plain.values?.get(value.id)];
      if (a === undefined || b === undefined) continue;
      valuesCompared++;
      const found = firstDifference(value.dtype, a, b);
      if (found !== null)
        return { valuesCompared, firstNode: { name: node.name, op: node.op, value: value.name, difference: differenceText(found) } };
    }
  }
  return { valuesCompared };
}

/** The plain loops' results and what they are compared on. */
interface Reference {
  readonly graph: Graph;
  readonly samples: readonly Sample[];
  readonly plain: Execution;
  readonly plainValues?: Execution;
  readonly cases: readonly VerifyCase[];
}

function verdict(got: Execution, reference: Reference): string | undefined {
  const name = (s: number): string => (s < SEEDS.length ? `sample ${s + 1}` : `case ${reference.cases[s - SEEDS.length]!.name}`);
  const stored = reference.samples.map((_, s) => (s < SEEDS.length ? [] : reference.cases[s - SEEDS.length]!.outputs));
  return outputDifference(got, reference.plain.outputs, name) ?? outputDifference(got, stored, (s) => `${name(s)} as stored`);
}

async function verifyVia(via: Via, reference: Reference, options: VerifyOptions): Promise<{ result: ViaResult; execution?: Execution }> {
  const { graph, samples, plainValues } = reference;
  const execution = await execute(graph, via, samples, options.optimize === undefined ? {} : { optimize: options.optimize });
  const difference = verdict(execution, reference);
  const layers = plainValues === undefined ? {} : compareLayers(await execute(graph, via, samples.slice(0, 1), { values: true }), plainValues);
  const equal = difference === undefined && layers.firstNode === undefined;
  return { execution, result: { via, equal, ...(difference === undefined ? {} : { difference }), ...layers, ...(execution.core ?? {}) } };
}

/** What could not run is skipped and says why; firmware that does not build or faults is not equal. */
function resultOfError(via: Via, error: unknown): ViaResult {
  if (!(error instanceof KingletError)) throw error;
  if (error.code === "missing-tool") return { via, equal: null, skipped: `missing: ${error.message}` };
  if (error.code === "does-not-fit") return { via, equal: null, skipped: error.message };
  if (error.code === "check-failed") return { via, equal: false, difference: error.message };
  throw error;
}

/**
 * Runs the same seeded samples and stored cases every way asked for and compares with the plain loops:
 * integers bit for bit, floats to 1e-5 of max(1, |x|). A way whose tools are missing is skipped and says so.
 */
export async function verifyGraph(graph: Graph, options: VerifyOptions): Promise<Verification> {
  const cases = options.cases ?? [];
  const samples = [...SEEDS.map((seed) => seededSample(graph, seed)), ...cases.map((each) => each.inputs)];
  const plain = await execute(graph, "plain", samples);
  const reference: Reference = {
    graph,
    samples,
    plain,
    cases,
    ...(options.layers === true ? { plainValues: await execute(graph, "plain", samples.slice(0, 1), { values: true }) } : {}),
  };
  const results: ViaResult[] = [];
  const executions: Execution[] = [];
  for (const via of options.vias) {
    options.onStart?.(via);
    try {
      const { result, execution } = await verifyVia(via, reference, options);
      results.push(result);
      if (execution !== undefined) executions.push(execution);
    } catch (error) {
      results.push(resultOfError(via, error));
    }
  }
  const ok = results.some((each) => each.equal !== null) && results.every((each) => each.equal !== false);
  return { ok, samples: SEEDS.length, cases: cases.length, results, executions };
}
