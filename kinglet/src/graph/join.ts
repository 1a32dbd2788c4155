import { KingletError, sameShape, shapeText } from "../base/index.ts";
import type { Graph, Node, Value } from "./graph.ts";

function checkFits(from: Value, to: Value): void {
  if (from.dtype === to.dtype && sameShape(from.shape, to.shape)) return;
  const [is, should] = [from, to].map(({ dtype, shape }) => `${dtype}${shapeText(shape)}`);
  throw new KingletError("bad-graph", `the output "${from.name}" is ${is}, but the input "${to.name}" that it should feed is ${should}`);
}

/**
 * One graph of two: the outputs of `before` feed the inputs of `after`, in order. Features and the network that was
 * trained on them become one thing to compile.
 * @throws KingletError `bad-graph` where number or types do not fit.
 */
export function joinGraphs(name: string, before: Graph, after: Graph): Graph {
  if (before.outputs.length !== after.inputs.length)
    throw new KingletError(
      "bad-graph",
      `${before.outputs.length} outputs of "${before.name}" do not fit ${after.inputs.length} inputs of "${after.name}"`,
    );
  const fed = new Map<number, Value>();
  after.inputs.forEach((input, i) => {
    checkFits(before.outputs[i]!, input);
    fed.set(input.id, before.outputs[i]!);
  });
  const first = before.values.reduce((most, { id }) => Math.max(most, id + 1), 0);
  const moved = after.values.filter(({ id }) => !fed.has(id)).map((value, i): [number, Value] => [value.id, { ...value, id: first + i }]);
  const values = new Map([...fed, ...moved]);
  const place = (value: Value): Value => values.get(value.id)!;
  const names = new Set(before.nodes.map((node) => node.name));
  const nodes = after.nodes.map(
    (node): Node => ({
      ...node,
      name: names.has(node.name) ? `${after.name}_${node.name}` : node.name,
      inputs: node.inputs.map((value) => (value === null ? null : place(value))),
      outputs: node.outputs.map(place),
    }),
  );
  return {
    name,
    values: [...before.values, ...moved.map(([, value]) => value)],
    nodes: [...before.nodes, ...nodes],
    inputs: before.inputs,
    outputs: after.outputs.map(place),
    metadata: { ...before.metadata, ...after.metadata },
  };
}
