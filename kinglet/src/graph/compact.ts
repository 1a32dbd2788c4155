import type { Graph, Value } from "./graph.ts";

/** The same network without values that nothing reads or makes, such as constants that a pass replaced; the others are numbered anew. */
export function withoutUnused(graph: Graph): Graph {
  const touched = [...graph.inputs, ...graph.outputs, ...graph.nodes.flatMap(({ inputs, outputs }) => [...inputs, ...outputs])];
  const used = new Set(touched.map((value) => value?.id));
  const kept = graph.values.filter(({ id }) => used.has(id));
  const values = new Map(kept.map((value, id) => [value.id, { ...value, id }]));
  const place = ({ id }: Value): Value => values.get(id)!;
  return {
    ...graph,
    values: [...values.values()],
    nodes: graph.nodes.map((node) => ({
      ...node,
      inputs: node.inputs.map((value) => value && place(value)),
      outputs: node.outputs.map(place),
    })),
    inputs: graph.inputs.map(place),
    outputs: graph.outputs.map(place),
  };
}
