import type { Graph, Node } from "../graph/index.ts";

/** Drops nodes whose results nobody uses; a node that writes a variable is kept. */
export function removeDead(graph: Graph): Graph {
  const needed = new Set(graph.outputs.map((value) => value.id));
  const kept: Node[] = [];
  for (const node of [...graph.nodes].reverse()) {
    const writesState = node.outputs.length === 0 || node.inputs.some((value) => value?.variable === true);
    if (!writesState && !node.outputs.some((value) => needed.has(value.id))) continue;
    for (const value of node.inputs) if (value !== null) needed.add(value.id);
    kept.push(node);
  }
  return { ...graph, nodes: kept.reverse() };
}
