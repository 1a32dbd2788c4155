import { gzipSync } from "node:zlib";
import { performance } from "node:perf_hooks";
import { KingletError } from "../kinglet/src/base/index.ts";
import { compileGraph, execute, type Sample } from "../kinglet/src/driver/index.ts";
import type { Graph } from "../kinglet/src/graph/index.ts";
import { libraryId, printCLibrary } from "../kinglet/src/targets/c/index.ts";
import { packageWasm } from "../kinglet/src/targets/wasm/index.ts";

/** A model to measure: how to get its graph (timed) and what to feed it. */
export interface Subject {
  readonly model: string;
  readonly read: () => Graph;
  readonly samples: readonly Sample[];
}

export interface Measured {
  readonly model: string;
  readonly arenaBytes: number;
  readonly weightBytes: number;
  /** Exact, from the linker map; absent without the cross compiler. */
  readonly codeBytes?: number;
  /** Exact, from the emulator; absent without it. */
  readonly instructions?: number;
  readonly stackBytes?: number;
  /** From file to C, a time on this machine. */
  readonly compileMs: number;
  /** Module and loader, each as a server would send them. */
  readonly wasmGzipBytes: number;
}

export interface Skipped {
  readonly model: string;
  readonly skipped: string;
}

function wasmGzipBytes(graph: Graph): number {
  const { program, plan } = compileGraph(graph, { target: "wasm" });
  const id = libraryId(graph.name);
  const files = packageWasm(program, plan, id);
  const size = (name: string): number => {
    const contents = files.get(name)!;
    return gzipSync(typeof contents === "string" ? new TextEncoder().encode(contents) : contents, { level: 9 }).length;
  };
  return size(`${id}.wasm`) + size(`${id}.js`);
}

/** Measures one model; what Kinglet refuses is a reason, not an end. */
export async function measure({ model, read, samples }: Subject): Promise<Measured | Skipped> {
  try {
    const start = performance.now();
    const graph = read();
    const compiled = compileGraph(graph, { target: "c-dsp" });
    printCLibrary(compiled.program, compiled.plan, libraryId(graph.name));
    const compileMs = performance.now() - start;
    const base = { model, arenaBytes: compiled.plan.arenaBytes, weightBytes: compiled.weightBytes, compileMs, wasmGzipBytes: wasmGzipBytes(graph) };
    return { ...base, ...(await onCore(graph, samples)) };
  } catch (error) {
    if (error instanceof KingletError) return { model, skipped: error.message };
    throw error;
  }
}

async function onCore(graph: Graph, samples: readonly Sample[]): Promise<Pick<Measured, "codeBytes" | "instructions" | "stackBytes">> {
  try {
    const { core } = await execute(graph, "cortex-m4", samples);
    return core === undefined ? {} : { codeBytes: core.codeBytes, instructions: core.instructions, stackBytes: core.stackBytes };
  } catch (error) {
    if (error instanceof KingletError && error.code === "missing-tool") return {};
    throw error;
  }
}
