import { KingletError, type TypedArray } from "../base/index.ts";
import type { Attributes, GraphBuilder, Value } from "../graph/index.ts";
import { applyOp, type OpName } from "../ops/index.ts";

/** Adds an operator with one output, whose type follows from its shape rule. @throws KingletError `bad-graph` */
export function addNode(b: GraphBuilder, op: OpName, inputs: readonly (Value | null)[], attributes: Attributes = {}, name?: string): Value {
  return applyOp(b, op, inputs, attributes, name)[0]!;
}

/** A constant of single-precision numbers. */
export function floats(b: GraphBuilder, name: string, shape: readonly number[], data: Float32Array): Value {
  return b.constant(name, { dtype: "float32", shape }, data as TypedArray);
}

/** A constant number that broadcasts to any shape. */
export function number(b: GraphBuilder, name: string, value: number): Value {
  return floats(b, name, [1], Float32Array.of(value));
}

/** `a` and `b` element by element, with the smaller one repeated. */
export function binary(b: GraphBuilder, op: "add" | "sub" | "mul" | "maximum", x: Value, y: Value, name?: string): Value {
  return addNode(b, op, [x, y], op === "maximum" ? {} : { activation: "none" }, name);
}

/** As float32: whole numbers keep their value. */
export function asFloat(b: GraphBuilder, x: Value): Value {
  return x.dtype === "float32" ? x : addNode(b, "cast", [x], { dtype: "float32" });
}

/** @throws KingletError `misuse` */
export function misuse(what: string): never {
  throw new KingletError("misuse", what);
}
