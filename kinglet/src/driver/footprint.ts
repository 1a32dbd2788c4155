import { KingletError } from "../base/index.ts";
import { type Board, type CoreId, coreById, coreTools, findTool } from "../boards/index.ts";
import type { Graph } from "../graph/index.ts";
import { compileGraph } from "./compile.ts";
import { execute, targetForCore } from "./execute.ts";
import { seededSample } from "./samples.ts";
import type { SparseLayer } from "./zeros.ts";

/** What a network takes on a machine. All figures are exact; null is what could not be measured here. */
export interface Footprint {
  /** The core whose kernels these are; null where portable C is meant. */
  readonly core: CoreId | null;
  readonly macs: number;
  readonly arenaBytes: number;
  readonly weightBytes: number;
  /** Layers of which most weights are 0, and how they are stored. */
  readonly sparse: readonly SparseLayer[];
  readonly codeBytes: number | null;
  readonly stackBytes: number | null;
  /** Of one inference. */
  readonly instructions: number | null;
}

/** A larger network would keep the emulator busy for minutes. */
const MOST_EMULATED_MACS = 1e8;

function canEmulate(core: CoreId): boolean {
  return coreTools(coreById(core)).every((tool) => findTool(tool) !== null);
}

/** Runs a network once on a board's core where that can be emulated here; elsewhere, and without a board, it is compiled, and its memory is known. */
export async function measureFootprint(graph: Graph, board: Board | null): Promise<Footprint> {
  const core = board?.core ?? null;
  const { macs, plan, weightBytes, sparse } = compileGraph(graph, { target: core === null ? "c" : targetForCore(core) });
  const planned = { core, macs, arenaBytes: plan.arenaBytes, weightBytes, sparse, codeBytes: null, stackBytes: null, instructions: null };
  if (core === null || macs > MOST_EMULATED_MACS || !canEmulate(core)) return planned;
  try {
    const { codeBytes, stackBytes, instructions } = (await execute(graph, core, [seededSample(graph, 1)])).core!;
    return { ...planned, codeBytes, stackBytes, instructions };
  } catch (error) {
    // Larger than the emulated machine: there is nothing to run it on.
    if (error instanceof KingletError && error.code === "does-not-fit") return planned;
    throw error;
  }
}
