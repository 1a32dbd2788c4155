import type { CoreId } from "../boards/index.ts";
import type { Graph } from "../graph/index.ts";
import { type ExecuteOptions, type Execution, execute } from "./execute.ts";
import type { Sample } from "./tensors.ts";

/**
 * Adds the instructions of every layer to a run on a core. They come from a second run: counting them costs some
 * itself, so the first run alone tells the network's own figures.
 */
export async function withLayerCounts(graph: Graph, run: Execution, sample: Sample, options: ExecuteOptions = {}): Promise<Execution> {
  if (run.core === undefined) return run;
  const { core } = await execute(graph, run.via, [sample], { ...options, profile: true });
  return core?.stepInstructions === undefined ? run : { ...run, core: { ...run.core, stepInstructions: core.stepInstructions } };
}

/** One inference on an emulated core, with the instructions of every layer. */
export async function profileOnCore(graph: Graph, core: CoreId, sample: Sample, options: ExecuteOptions = {}): Promise<Execution> {
  return await withLayerCounts(graph, await execute(graph, core, [sample], options), sample, options);
}
