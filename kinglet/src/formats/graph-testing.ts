import type { Attributes, Graph, Value } from "../graph/index.ts";

/** Numbers in single precision; a dilation of 1 and no activation say nothing. */
export function comparableAttributes(attributes: Attributes): unknown {
  const entries = Object.entries(attributes).filter(([key, each]) => !(key.startsWith("dilation") && each === 1) && each !== "none");
  return Object.fromEntries(entries.sort().map(([key, each]) => [key, typeof each === "number" ? Math.fround(each) : each]));
}

interface Comparable {
  readonly inputs: unknown;
  readonly nodes: unknown;
  readonly outputs: unknown;
  readonly values: readonly Readonly<Record<string, unknown>>[];
  readonly metadata: unknown;
}

/** What a graph computes, without any names and notes. */
export function nameless(graph: Graph): unknown {
  const { metadata: _, values, ...rest } = comparable(graph);
  return { ...rest, values: values.map(({ name: __, ...value }) => value) };
}

/** What a graph is, without the names of its nodes and what numbering and a file's single precision change; to be compared deeply. */
export function comparable(graph: Graph): Comparable {
  const order = new Map<Value, number>();
  const place = (value: Value | null): number | null => {
    if (value === null) return null;
    if (!order.has(value)) order.set(value, order.size);
    return order.get(value)!;
  };
  const inputs = graph.inputs.map(place);
  const nodes = graph.nodes.map((node) => [node.op, comparableAttributes(node.attributes), node.inputs.map(place), node.outputs.map(place)]);
  const outputs = graph.outputs.map(place);
  const values = [...order.keys()].map(({ name, dtype, shape, data, variable, initial, quantization }) => {
    const scales = quantization?.scales.map(Math.fround);
    return {
      name,
      dtype,
      shape,
      data,
      variable,
      initial,
      scales,
      zeroPoints: quantization?.zeroPoints.map((zero) => zero + 0),
      axis: quantization?.axis,
    };
  });
  return { inputs, nodes, outputs, values, metadata: graph.metadata };
}
