import { elementCount } from "../base/index.ts";
import type { Graph, Node, Value } from "../graph/index.ts";
import { findOp } from "./table.ts";

function ofNode(node: Node): Value[] {
  const values = (findOp(node.op)?.parameters ?? []).map((index) => node.inputs[index]);
  return values.filter((value): value is Value => value?.data !== undefined);
}

/**
 * What training changes: the constants that operators name as their parameters, each once however often it is used, in the
 * order of their first use. Running statistics of a batch normalization and constants of a formula are not among them.
 */
export function parameterValues(graph: Graph): Value[] {
  return [...new Set(graph.nodes.flatMap(ofNode))];
}

/** Whether a parameter is the int8 weights of a layer with int8 inputs, or its int32 bias. */
function ofIntegerLayer({ inputs }: Node, value: Value): boolean {
  const symmetric = value.quantization?.zeroPoints.every((zero) => zero === 0) ?? false;
  return inputs[0]?.dtype === "int8" && symmetric && (value.dtype === "int8" || value.dtype === "int32");
}

/** The `parameterValues` that gradient descent can change: floats, and the weights and biases of int8 layers. */
export function learnableValues(graph: Graph): Value[] {
  const stored = new Set(graph.nodes.flatMap((node) => ofNode(node).filter((value) => ofIntegerLayer(node, value))));
  return parameterValues(graph).filter((value) => value.dtype === "float32" || stored.has(value));
}

/** Elements of all `parameterValues`: the number that papers print. */
export function trainableParametersOf(graph: Graph): number {
  return parameterValues(graph).reduce((sum, { shape }) => sum + elementCount(shape), 0);
}
