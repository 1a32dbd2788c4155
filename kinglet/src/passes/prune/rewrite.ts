import { elementCount, type Shape, stridesOf } from "../../base/index.ts";
import { type Graph, GraphBuilder, type Value } from "../../graph/index.ts";
import { findOp } from "../../ops/index.ts";
import { keptAttributes } from "./rules.ts";
import type { Ties } from "./ties.ts";

/** The elements of a tensor at the kept positions of each axis. */
function gathered(data: Float32Array, shape: Shape, kept: readonly (readonly number[])[]): Float32Array {
  const strides = stridesOf(shape);
  const out = new Float32Array(elementCount(kept.map(({ length }) => length)));
  let at = 0;
  const visit = (axis: number, from: number): void => {
    if (axis === shape.length) out[at++] = data[from]!;
    else for (const index of kept[axis]!) visit(axis + 1, from + index * strides[axis]!);
  };
  visit(0, 0);
  return out;
}

/** The network without some classes of positions: constants cut, shapes by the operators' own rules. */
export function withoutClasses(graph: Graph, ties: Ties, removed: ReadonlySet<number>): Graph {
  const builder = new GraphBuilder(graph.name);
  const now = new Map<number, Value>();
  const keptOf = (value: Value, axis: number): number[] => {
    const all = Array.from({ length: value.shape[axis]! }, (_, i) => i);
    return ties.has(value, axis) ? all.filter((i) => !removed.has(ties.classOf(value, axis, i))) : all;
  };
  const constant = (value: Value): Value => {
    const kept = value.shape.map((_, axis) => keptOf(value, axis));
    const shape = kept.map(({ length }) => length);
    return builder.constant(value.name, { dtype: value.dtype, shape }, gathered(value.data as Float32Array, value.shape, kept));
  };
  const of = (value: Value): Value => {
    const known = now.get(value.id) ?? constant(value);
    now.set(value.id, known);
    return known;
  };
  for (const input of graph.inputs) now.set(input.id, builder.input(input.name, input));
  for (const node of graph.nodes) {
    const inputs = node.inputs.map((value) => (value === null ? null : of(value)));
    const counts = node.outputs.map((value) => keptOf(value, value.shape.length - 1).length);
    const attributes = keptAttributes(node, counts);
    const types = findOp(node.op)!.infer(inputs, attributes);
    const outputs = node.outputs.map((value, i) => builder.value(value.name, types[i]!));
    node.outputs.forEach((value, i) => now.set(value.id, outputs[i]!));
    builder.node(node.op, inputs, outputs, attributes, node.name);
  }
  for (const output of graph.outputs) builder.output(of(output));
  for (const [key, text] of Object.entries(graph.metadata)) builder.note(key, text);
  return builder.build();
}
