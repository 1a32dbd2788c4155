import type { TypedArray } from "../base/index.ts";
import type { Graph, Value } from "./graph.ts";

/** The network with other contents in some of its constants. */
export function withConstants(network: Graph, contents: ReadonlyMap<Value, TypedArray>): Graph {
  const replaced = new Map(network.values.map((value) => [value, contents.has(value) ? { ...value, data: contents.get(value)! } : value]));
  const now = (value: Value): Value => replaced.get(value)!;
  return {
    ...network,
    values: network.values.map(now),
    nodes: network.nodes.map((node) => ({
      ...node,
      inputs: node.inputs.map((value) => (value === null ? null : now(value))),
      outputs: node.outputs.map(now),
    })),
    inputs: network.inputs.map(now),
    outputs: network.outputs.map(now),
  };
}
