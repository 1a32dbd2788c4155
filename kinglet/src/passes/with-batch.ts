import { KingletError, sameShape } from "../base/index.ts";
import { type Attributes, type Graph, GraphBuilder, type Node, type Value } from "../graph/index.ts";
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

/**
 * The same network for another batch, the first dimension of all its inputs. The constants are shared.
 * @throws KingletError `unsupported` that names a node whose result does not grow with the batch.
 */
export function withBatch(graph: Graph, batch: number): Graph {
  const own = graph.inputs[0]?.shape[0] ?? 1;
  if (own === batch) return graph;
  const factor = batch / own;
  const builder = new GraphBuilder(graph.name);
  const now = new Map<number, Value>();
  const grown = (value: Value): number[] => value.shape.map((dim, d) => (d === 0 ? dim * factor : dim));
  const of = (value: Value): Value => {
    const known = now.get(value.id);
    if (known !== undefined) return known;
    if (value.data === undefined) throw new KingletError("unsupported", `"${value.name}" keeps state from run to run; its batch is fixed`);
    const constant = builder.constant(value.name, value, value.data);
    now.set(value.id, constant);
    return constant;
  };
  for (const input of graph.inputs) now.set(input.id, builder.input(input.name, { ...input, shape: grown(input) }));
  for (const node of graph.nodes) {
    const inputs = node.inputs.map((value) => (value === null ? null : of(value)));
    const attributes = attributesFor(node, factor);
    const types = findOp(node.op)!.infer(inputs, attributes);
    node.outputs.forEach((value, i) => {
      const { shape } = types[i]!;
      if (!sameShape(shape, grown(value)))
        throw new KingletError("unsupported", `${node.op} (node "${node.name}") does not have the batch in its first dimension`);
      now.set(value.id, builder.value(value.name, { ...value, shape }));
    });
    builder.node(
      node.op,
      inputs,
      node.outputs.map((value) => now.get(value.id)!),
      attributes,
      node.name,
    );
  }
  for (const output of graph.outputs) builder.output(of(output));
  for (const [key, text] of Object.entries(graph.metadata)) builder.note(key, text);
  return builder.build();
}
