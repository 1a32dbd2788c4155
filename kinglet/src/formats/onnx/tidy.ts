import type { Graph, Node, Quantization, Value } from "../../graph/index.ts";

/** What a graph looks like once all of the file was read. */

/** The graph with other nodes, and some values in place of others. */
function rewired(graph: Graph, nodes: readonly Node[], replaced: ReadonlyMap<Value, Value>): Graph {
  const renew = (value: Value): Value => replaced.get(value) ?? value;
  return {
    ...graph,
    values: graph.values.map(renew),
    inputs: graph.inputs.map(renew),
    outputs: graph.outputs.map(renew),
    nodes: nodes.map((node) => ({
      ...node,
      inputs: node.inputs.map((value) => (value === null ? null : renew(value))),
      outputs: node.outputs.map(renew),
    })),
  };
}

/** The graph without some nodes, whose results others stand for. */
export function without(
  graph: Graph,
  gone: readonly Node[],
  replaced: ReadonlyMap<Value, Value>,
  change: (node: Node) => Node = (node) => node,
): Graph {
  if (gone.length === 0) return graph;
  const [nodes, values] = [new Set(gone), new Set(gone.flatMap((node) => node.outputs))];
  const kept = { ...graph, values: graph.values.filter((value) => !values.has(value)) };
  return rewired(kept, graph.nodes.filter((node) => !nodes.has(node)).map(change), replaced);
}

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

/** Drops what served only to compute other things while the file was read; what stays is numbered anew, and called as the file has it. */
export function removeUnused(graph: Graph, names: ReadonlyMap<Value, string> = new Map()): Graph {
  const nodes = neededNodes(graph);
  const used = new Set([...graph.inputs, ...graph.outputs, ...nodes.flatMap((node) => [...node.inputs, ...node.outputs])]);
  const kept = graph.values.filter((value) => used.has(value));
  const renumbered = new Map(kept.map((value, id): [Value, Value] => [value, { ...value, id, name: names.get(value) ?? value.name }]));
  return { ...rewired(graph, nodes, renumbered), values: [...renumbered.values()] };
}

/** Who reads each value. */
export function readersOf(graph: Graph): Map<Value, Node[]> {
  const readers = new Map<Value, Node[]>();
  for (const node of graph.nodes) for (const value of node.inputs) if (value !== null) readers.set(value, [...(readers.get(value) ?? []), node]);
  return readers;
}

export const makersOf = (graph: Graph): Map<Value, Node> =>
  new Map(graph.nodes.flatMap((node) => node.outputs.map((value): [Value, Node] => [value, node])));

const MOVING = new Set(["reshape", "transpose"]);

export const sameScale = (a: Quantization | undefined, b: Quantization | undefined): boolean => JSON.stringify(a) === JSON.stringify(b);

/** A reshape to the same shape that gives stored integers the scale which the file says further on. */
function isScaling({ op, inputs: [x], outputs: [y] }: Node): boolean {
  return op === "reshape" && x!.quantization === undefined && y!.quantization !== undefined && x!.shape.join() === y!.shape.join();
}

/** Stored integers that are only read with one scale have it from where they come in, through whatever moves them. */
export function scaleInputs(graph: Graph): Graph {
  const readers = readersOf(graph);
  const found = new Map<Value, Quantization | undefined>();
  const scaleOf = (value: Value): Quantization | undefined => {
    if (value.quantization !== undefined || graph.outputs.includes(value)) return value.quantization;
    if (!found.has(value)) {
      const behind = readers.get(value) ?? [];
      const scales = behind.map((node) => (MOVING.has(node.op) ? scaleOf(node.outputs[0]!) : undefined));
      found.set(value, scales.every((scale) => sameScale(scale, scales[0])) ? scales[0] : undefined);
    }
    return found.get(value);
  };
  const replaced = new Map<Value, Value>();
  const makers = makersOf(graph);
  for (const value of graph.values) {
    const source = makers.get(value);
    const quantization =
      source === undefined && !graph.inputs.includes(value) ? undefined : value.quantization === undefined ? scaleOf(value) : undefined;
    const moves = source === undefined || (MOVING.has(source.op) && replaced.has(source.inputs[0]!));
    if (quantization !== undefined && moves) replaced.set(value, { ...value, quantization });
  }
  const gone = graph.nodes.filter((node) => isScaling(node) && replaced.has(node.inputs[0]!) && !graph.outputs.includes(node.outputs[0]!));
  for (const { inputs, outputs } of gone) replaced.set(outputs[0]!, replaced.get(inputs[0]!)!);
  return without(graph, gone, replaced);
}
