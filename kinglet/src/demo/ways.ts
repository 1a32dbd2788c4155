import { KingletError } from "../base/index.ts";
import { type Execution, execute, type Sample, type Via, withLayerCounts } from "../driver/index.ts";
import type { Graph } from "../graph/index.ts";

/** One way to run the network: what came of it, or why it was left out. */
export interface Way {
  readonly via: Via;
  readonly title: string;
  readonly execution?: Execution;
  readonly equal?: boolean;
  readonly ms?: number;
  /** Why it did not run, and how to get what is missing. */
  readonly missing?: string;
}

const TITLES: readonly (readonly [Via, string])[] = [
  ["js", "JavaScript"],
  ["wasm", "WebAssembly (SIMD)"],
  ["c", "C on this computer"],
  ["cortex-m4", "C, emulated Cortex-M4"],
];

function sameBytes(a: Execution, b: Execution): boolean {
  return a.outputs.every((sample, s) => sample.every((bytes, i) => Buffer.compare(bytes, b.outputs[s]![i]!) === 0));
}

async function tryWay(graph: Graph, via: Via, title: string, samples: readonly Sample[], plain: Execution): Promise<Way> {
  const start = performance.now();
  try {
    const execution = await execute(graph, via, samples);
    return { via, title, execution, equal: sameBytes(execution, plain), ms: performance.now() - start };
  } catch (error) {
    if (error instanceof KingletError && error.code === "missing-tool") return { via, title, missing: error.describe() };
    throw error;
  }
}

/** Runs the network in every way this machine can, each compared with the plain loops. */
export async function runEveryWay(graph: Graph, samples: readonly Sample[]): Promise<Way[]> {
  const plain = await execute(graph, "plain", samples);
  const ways: Way[] = [];
  for (const [via, title] of TITLES) {
    const way = await tryWay(graph, via, title, samples, plain);
    ways.push(way.execution === undefined ? way : { ...way, execution: await withLayerCounts(graph, way.execution, samples[0]!) });
  }
  return ways;
}
