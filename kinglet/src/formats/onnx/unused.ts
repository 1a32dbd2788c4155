import type { Graph, Node, Value } from "../../graph/index.ts";

/** Nodes that something needs. */
function neededNodes(graph: Graph): Node[] {
  const needed = new Set(graph.outputs);
  const kept: Node[] = [];
  for (const node of [...graph.nodes].reverse()) {
    if (!node.outputs.some((value) => needed.has(value))) continue;
    for (const value of node.inputs) if (value !== null) needed.add(value);
    kept.push(node);
  }
  return kept.reverse();
}

/** Drops what served only to compute other things while the file was read; what stays is numbered anew. */
export function removeUnused(graph: Graph): Graph {
  const nodes = neededNodes(graph);
  const used = new Set([...graph.inputs, ...graph.outputs, ...nodes.flatMap((node) => [...node.inputs, ...node.outputs])]);
  const kept = graph.values.filter((value) => used.has(value));
  const renumbered = new Map(kept.map((value, id): [Value, Value] => [value, { ...value, id }]));
  const renew = (value: Value): Value => renumbered.get(value)!;
  return {
    ...graph,
    values: [...renumbered.values()],
    inputs: graph.inputs.map(renew),
    outputs: graph.outputs.map(renew),
    nodes: nodes.map((node) => ({
      ...node,
      inputs: node.inputs.map((value) => (value === null ? null : renew(value))),
      outputs: node.outputs.map(renew),
    })),
  };
}
