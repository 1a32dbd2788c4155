import { KingletError, sameShape } from "../base/index.ts";
import type { Attributes, Graph, Node, Value } from "../graph/index.ts";
import { findOp } from "../ops/index.ts";

/** Attributes that spell out the batch. */
function attributesFor(node: Node, factor: number): Attributes {
  const longer = (key: string): Attributes => {
    const [first, ...rest] = node.attributes[key] as readonly number[];
    return { ...node.attributes, [key]: [Math.round(first! * factor), ...rest] };
  };
  if (node.op === "reshape" || node.op === "broadcastTo") return longer("shape");
  return node.op === "slice" ? longer("size") : node.attributes;
}

/** Ids of what follows from the inputs; the rest, constants and what is made of them, has no batch. */
function reachedByInputs(graph: Graph): Set<number> {
  const reached = new Set(graph.inputs.map(({ id }) => id));
  for (const { inputs, outputs } of graph.nodes)
    if (inputs.some((value) => value !== null && reached.has(value.id))) for (const { id } of outputs) reached.add(id);
  return reached;
}

/**
 * The same network for another batch, the first dimension of all its inputs. The constants are shared.
 * @throws KingletError `unsupported` that names a node whose result does not grow with the batch.
 */
export function withBatch(graph: Graph, batch: number): Graph {
  const own = graph.inputs[0]?.shape[0] ?? 1;
  if (own === batch) return graph;
  const stateful = graph.values.find(({ variable }) => variable === true);
  if (stateful !== undefined) throw new KingletError("unsupported", `"${stateful.name}" keeps state from run to run; its batch is fixed`);
  const factor = batch / own;
  const reached = reachedByInputs(graph);
  const values = graph.values.map((value): Value => {
    const [first, ...rest] = value.shape;
    return reached.has(value.id) ? { ...value, shape: [first! * factor, ...rest] } : value;
  });
  const now = ({ id }: Value): Value => values[id]!;
  const nodes = graph.nodes.map((node): Node => {
    const grows = node.outputs.some(({ id }) => reached.has(id));
    const attributes = grows ? attributesFor(node, factor) : node.attributes;
    const inputs = node.inputs.map((value) => (value === null ? null : now(value)));
    const outputs = node.outputs.map(now);
    if (
      !findOp(node.op)!
        .infer(inputs, attributes)
        .every(({ shape }, i) => sameShape(shape, outputs[i]!.shape))
    )
      throw new KingletError("unsupported", `${node.op} (node "${node.name}") does not have the batch in its first dimension`);
    return { ...node, inputs, outputs, attributes };
  });
  return { ...graph, values, nodes, inputs: graph.inputs.map(now), outputs: graph.outputs.map(now) };
}
