import type { Graph, Value } from "../../graph/index.ts";

/** Drops constants that served only to compute others while the file was read; what stays is numbered anew. */
export function removeUnusedConstants(graph: Graph): Graph {
  const used = new Set([...graph.outputs, ...graph.nodes.flatMap((node) => node.inputs.filter((value) => value !== null))]);
  const kept = graph.values.filter((value) => value.data === undefined || used.has(value));
  const renumbered = new Map(kept.map((value, id): [Value, Value] => [value, { ...value, id }]));
  const renew = (value: Value): Value => renumbered.get(value)!;
  return {
    ...graph,
    values: [...renumbered.values()],
    inputs: graph.inputs.map(renew),
    outputs: graph.outputs.map(renew),
    nodes: graph.nodes.map((node) => ({
      ...node,
      inputs: node.inputs.map((value) => (value === null ? null : renew(value))),
      outputs: node.outputs.map(renew),
    })),
  };
}
