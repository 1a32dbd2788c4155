import { elementCount } from "../base/index.ts";
import type { Graph, Node, Value } from "../graph/index.ts";
import { findOp } from "./table.ts";

function ofNode(node: Node): Value[] {
  const values = (findOp(node.op)?.parameters ?? []).map((index) => node.inputs[index]);
  return values.filter((value): value is Value => value?.data !== undefined);
}

/**
 * What training changes: the constants that operators name as their parameters, each once however often it is used, in the
 * order of their first use. Running statistics of a batch normalization and constants of a formula are not among them.
 */
export function parameterValues(graph: Graph): Value[] {
  return [...new Set(graph.nodes.flatMap(ofNode))];
}

/** Elements of all `parameterValues`: the number that papers print. */
export function trainableParametersOf(graph: Graph): number {
  return parameterValues(graph).reduce((sum, { shape }) => sum + elementCount(shape), 0);
}
