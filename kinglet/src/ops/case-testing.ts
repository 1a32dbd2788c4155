import { type TypedArray, Xorshift32 } from "../base/index.ts";
import type { Node, Value, ValueType } from "../graph/index.ts";
import { evaluate } from "../targets/js/index.ts";
import { caseGraph } from "./case-graph.ts";
import type { OpDef } from "./op.ts";

/** For tests: one case of an operator with what it was given and what it gave. */
export interface RealCase {
  readonly name: string;
  readonly node: Node;
  /** Real numbers of the inputs; empty where absent. */
  readonly inputs: readonly (readonly number[])[];
  readonly output: readonly number[];
  /** Distance of two neighbouring real numbers of the output; 0 for floats. */
  readonly step: number;
}

function realOf(type: ValueType, data: TypedArray): number[] {
  const q = type.quantization;
  return Array.from(data as ArrayLike<number | bigint>, (v, i) => {
    const channel = q !== undefined && q.scales.length > 1 ? Math.floor(i / (data.length / q.scales.length)) : 0;
    return (Number(v) - (q?.zeroPoints[channel] ?? 0)) * (q?.scales[channel] ?? 1);
  });
}

/** Evaluates all cases of an operator with seeded contents. */
export function realCases(op: OpDef, seed = 5): RealCase[] {
  const { graph, inputs } = caseGraph(op, new Xorshift32(seed));
  const outputs = evaluate(graph, inputs);
  const given = new Map<number, TypedArray>(graph.inputs.map((value, i) => [value.id, inputs[i]!]));
  const contents = (value: Value): TypedArray => given.get(value.id) ?? value.data ?? value.initial!;
  return graph.nodes.map((node, i) => ({
    name: op.cases[i]!.name,
    node,
    inputs: node.inputs.map((value) => (value === null ? [] : realOf(value, contents(value)))),
    output: realOf(node.outputs[0]!, outputs[i]!),
    step: node.outputs[0]!.quantization?.scales[0] ?? 0,
  }));
}

/** A real number as the output can hold it at best. */
export function limited(type: ValueType, x: number): number {
  const q = type.quantization;
  if (q === undefined) return x;
  const [low, high] = type.dtype === "int8" ? [-128, 127] : type.dtype === "uint8" ? [0, 255] : [-32768, 32767];
  return Math.min((high - q.zeroPoints[0]!) * q.scales[0]!, Math.max((low - q.zeroPoints[0]!) * q.scales[0]!, x));
}
