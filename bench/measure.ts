import { performance } from "node:perf_hooks";
import { gzipSync } from "node:zlib";
import { KingletError } from "../kinglet/src/base/index.ts";
import { toolReport } from "../kinglet/src/boards/index.ts";
import { compileGraph, execute, macsOf, type Sample } from "../kinglet/src/driver/index.ts";
import type { Graph } from "../kinglet/src/graph/index.ts";
import { libraryId, printCLibrary } from "../kinglet/src/targets/c/index.ts";
import { packageWasm } from "../kinglet/src/targets/wasm/index.ts";
import { type Job, PLANS } from "./jobs.ts";
import type { McuRun, ModelFacts } from "./results.ts";

/** A model to measure: how to get its graph (timed) and what to feed it. */
export interface Subject {
  readonly model: string;
  readonly read: () => Graph;
  readonly samples: readonly Sample[];
}

/** Why a measurement was not made. */
export interface Skipped {
  readonly model: string;
  readonly skipped: string;
}

function wasmGzipBytes(graph: Graph): number {
  const { program, plan } = compileGraph(graph, { target: "wasm" });
  const id = libraryId(graph.name);
  const files = packageWasm(program, plan, id);
  return [`${id}.wasm`, `${id}.js`].reduce((sum, name) => sum + gzipSync(files.get(name)!, { level: 9 }).length, 0);
}

/** What Kinglet refuses, and tools that are missing, are reasons and not an end. */
async function orReason<T>(model: string, measure: () => T | Promise<T>): Promise<T | Skipped> {
  try {
    return await measure();
  } catch (error) {
    if (error instanceof KingletError) return { model, skipped: error.message };
    throw error;
  }
}

export async function modelFacts({ model, read }: Subject): Promise<ModelFacts | Skipped> {
  return await orReason(model, () => {
    const start = performance.now();
    const graph = read();
    const { program, plan } = compileGraph(graph, { target: "c-dsp" });
    printCLibrary(program, plan, libraryId(graph.name));
    const compileMs = Math.round(performance.now() - start);
    return { model, macs: macsOf(graph), compileMs, wasmGzipBytes: wasmGzipBytes(graph) };
  });
}

export async function measureRun({ model, read, samples }: Subject, { core, goal, plan }: Job): Promise<McuRun | Skipped> {
  return await orReason(model, async () => {
    const { compiled, core: figures } = await execute(read(), core, samples, { ...PLANS[plan], optimize: goal, fine: true });
    const { instructions, stackBytes, codeBytes, weightBytes } = figures!;
    const { arenaBytes, lowerBoundBytes } = compiled.plan;
    return { model, core, goal, plan, instructions, arenaBytes, lowerBoundBytes, stackBytes, codeBytes, weightBytes };
  });
}

/** The tools that the exact figures depend on, by their own words. */
export function toolVersions(): Record<string, string> {
  const exact = new Set(["arm-none-eabi-gcc", "riscv64-unknown-elf-gcc", "qemu-system-arm", "qemu-system-riscv32"]);
  return Object.fromEntries(toolReport().flatMap(({ id, version }) => (exact.has(id) && version !== null ? [[id, version]] : [])));
}
