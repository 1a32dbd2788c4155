import type { Attributes, Graph, Node, Value } from "../graph/index.ts";
import { removeDead } from "./remove-dead.ts";

/** Gives what a value was made from by a node of this kind, if nobody else reads the value; else the value itself. */
type Undo = (value: Value, op: string) => Value;

/** The operator that has the gradient and the update by it in one. */
const FUSED: Readonly<Record<string, string>> = {
  conv2dFilterGradient: "conv2dFilterUpdate",
  depthwiseConv2dFilterGradient: "depthwiseConv2dFilterUpdate",
};

function undoIn(graph: Graph): { readonly undo: Undo; readonly makerOf: (value: Value) => Node | undefined } {
  const makers = new Map(graph.nodes.flatMap((node) => node.outputs.map((value) => [value, node] as const)));
  const readers = new Map<Value, number>();
  for (const value of graph.outputs) readers.set(value, 1);
  for (const { inputs } of graph.nodes) for (const value of inputs) if (value !== null) readers.set(value, (readers.get(value) ?? 0) + 1);
  const makerOf = (value: Value): Node | undefined => (readers.get(value) === 1 ? makers.get(value) : undefined);
  const undo: Undo = (value, op) => {
    const maker = makerOf(value);
    return maker?.op === op ? maker.inputs[0]! : value;
  };
  return { undo, makerOf };
}

/** Weights, random stream, gradient and rate of an update by gradient descent. */
function partsOf({ op, inputs }: Node): readonly [Value, Value | null, Value, Value] | undefined {
  if (op === "descentUpdate") return [inputs[0]!, null, inputs[1]!, inputs[2]!];
  return op === "quantizedDescentUpdate" ? [inputs[0]!, inputs[1]!, inputs[2]!, inputs[3]!] : undefined;
}

function fused(update: Node, { undo, makerOf }: ReturnType<typeof undoIn>): { readonly node: Node; readonly gradient: Node } | undefined {
  const parts = partsOf(update);
  if (parts === undefined) return undefined;
  const [weights, random, gradient, rate] = parts;
  const maker = makerOf(undo(gradient, "reshape"));
  const op = maker === undefined ? undefined : FUSED[maker.op];
  if (maker === undefined || op === undefined) return undefined;
  const { groupChannels, ...window } = maker.attributes;
  const [x, dy] = maker.inputs as [Value, Value];
  const groups = x.shape[3]! / (groupChannels as number);
  const attributes: Attributes = { weightDecay: 0, scaled: true, ...window, ...update.attributes, groups };
  // Where only some channels learn the gradient's operator was given those alone; this one leaves the others out itself.
  const inputs = [weights, random, undo(x, "slice"), dy, rate];
  return { node: { op, name: update.name, inputs, outputs: [], attributes }, gradient: maker };
}

/**
 * Joins gradients of filters with the updates by them: then no such gradient is ever in memory as a whole. The weights get the same
 * bits. For training steps of gradient descent without momentum.
 */
export function fuseUpdates(graph: Graph): Graph {
  const context = undoIn(graph);
  const gone = new Set<Node>();
  const nodes = graph.nodes.map((node) => {
    const joined = fused(node, context);
    if (joined === undefined) return node;
    gone.add(joined.gradient);
    return joined.node;
  });
  return removeDead({ ...graph, nodes: nodes.filter((node) => !gone.has(node)) });
}
