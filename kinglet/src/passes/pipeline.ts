import { checkGraph, type Graph, printGraph } from "../graph/index.ts";
import { checkTypes } from "./check-types.ts";
import { depthwiseToConv } from "./depthwise-to-conv.ts";
import { foldBatchNorm } from "./fold-batch-norm.ts";
import { foldPadding } from "./fold-padding.ts";
import { layOut } from "./layout.ts";
import { removeDead } from "./remove-dead.ts";

interface Pass {
  readonly name: string;
  readonly run: (graph: Graph) => Graph;
}

/** Every pass in the order they run. */
const PASSES: readonly Pass[] = [
  { name: "check types", run: checkTypes },
  { name: "lay out", run: layOut },
  { name: "fold batch normalization", run: foldBatchNorm },
  { name: "fold padding", run: foldPadding },
  { name: "depthwise of one channel to convolution", run: depthwiseToConv },
  { name: "remove dead nodes", run: removeDead },
];

/** Sees the graph after each pass that changed it. */
export type PassTrace = (pass: string, graph: string) => void;

/**
 * Runs all passes; the result is checked after each.
 * @throws KingletError from a check, before anything is compiled.
 */
export function runPasses(graph: Graph, trace?: PassTrace): Graph {
  checkGraph(graph);
  let current = graph;
  for (const pass of PASSES) {
    const next = pass.run(current);
    if (next !== current) checkGraph(next);
    if (trace !== undefined && printGraph(next) !== printGraph(current)) trace(pass.name, printGraph(next));
    current = next;
  }
  return current;
}
