import type { Attributes, GraphBuilder, Value } from "../graph/index.ts";
import { findOp } from "./table.ts";

/**
 * Adds a node whose output types follow from its operator's shape rule. One output has the node's name, several are numbered;
 * without a name it is the operator's, numbered by the nodes so far.
 * @throws KingletError `bad-graph` where the inputs do not fit the operator.
 */
export function applyOp(builder: GraphBuilder, op: string, inputs: readonly (Value | null)[], attributes: Attributes = {}, name?: string): Value[] {
  const called = name ?? `${op}_${builder.written.length}`;
  const types = findOp(op)!.infer(inputs, attributes);
  const outputs = types.map((type, i) => builder.value(types.length === 1 ? called : `${called}_${i}`, type));
  builder.node(op, inputs, outputs, attributes, called);
  return outputs;
}
