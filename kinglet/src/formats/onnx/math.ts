import type { DType } from "../../base/index.ts";
import type { Value } from "../../graph/index.ts";
import type { Site } from "./site.ts";

/** Arithmetic as rules write it: plain numbers, also where the operators of Kinglet would take narrow integers for quantized ones. */

/** The type that integers without an arithmetic of their own are computed in; storing them back wraps. */
const WIDER: Partial<Record<DType, DType>> = {
  int8: "int32",
  uint8: "int32",
  int16: "int32",
  uint16: "int32",
  uint32: "int64",
  uint64: "int64",
  bool: "int32",
};

function widened(site: Site, value: Value): Value {
  return site.cast(value, WIDER[value.dtype] ?? value.dtype);
}

export type Operand = Value | number;

const FUSED = new Set(["add", "sub", "mul", "div"]);

function operands(site: Site, a: Operand, b: Operand): [Value, Value] {
  if (typeof a === "number") return [site.like(b as Value, a), b as Value];
  return [a, typeof b === "number" ? site.like(a, b) : b];
}

/** A binary operator of Kinglet's whose result has its operands' type. */
export function binary(site: Site, op: string, first: Operand, second: Operand): Value {
  const [a, b] = operands(site, first, second);
  if (a.dtype !== b.dtype) site.fail(`its operands have the types ${a.dtype} and ${b.dtype}`);
  // Sums and products of 64 bits wrap alike with and without a sign; nothing else does.
  if (a.dtype === "uint64" && !["add", "sub", "mul"].includes(op)) site.unsupported(`${op} of uint64 is not supported`);
  const result = site.emit(op, [widened(site, a), widened(site, b)], FUSED.has(op) ? { activation: "none" } : {});
  return site.cast(result, a.dtype);
}

export const add = (site: Site, a: Operand, b: Operand): Value => binary(site, "add", a, b);
export const sub = (site: Site, a: Operand, b: Operand): Value => binary(site, "sub", a, b);
export const mul = (site: Site, a: Operand, b: Operand): Value => binary(site, "mul", a, b);
export const div = (site: Site, a: Operand, b: Operand): Value => binary(site, "div", a, b);

/** The order of signed numbers is that of unsigned ones whose highest bit was turned. */
function ordered(site: Site, value: Value): Value {
  if (value.dtype === "uint32") return site.cast(value, "int64");
  if (value.dtype !== "uint64") return widened(site, value);
  return site.emit("add", [site.cast(value, "int64"), site.constant(BigInt64Array.of(-(2n ** 63n)), "int64", [])], { activation: "none" });
}

/** A comparison: the result is bool. */
export function compare(site: Site, op: string, first: Operand, second: Operand): Value {
  const [a, b] = operands(site, first, second);
  if (a.dtype !== b.dtype) site.fail(`its operands have the types ${a.dtype} and ${b.dtype}`);
  return site.emit(op, [ordered(site, a), ordered(site, b)]);
}

/** The larger (or smaller) of two. */
export function extreme(site: Site, op: "maximum" | "minimum", a: Value, b: Value): Value {
  if (a.dtype !== "uint64") return binary(site, op, a, b);
  return select(site, compare(site, op === "maximum" ? "greater" : "less", a, b), a, b);
}

export function select(site: Site, condition: Value, first: Operand, second: Operand): Value {
  const [a, b] = operands(site, first, second);
  return site.emit("select", [condition, a, b]);
}

export function unary(site: Site, op: string, value: Value): Value {
  return site.cast(site.emit(op, [widened(site, value)]), value.dtype);
}

/** Keeps a value within bounds that may be open. */
export function clip(site: Site, value: Value, low: number, high: number): Value {
  const above = low === -Infinity ? value : extreme(site, "maximum", value, site.like(value, low));
  return high === Infinity ? above : extreme(site, "minimum", above, site.like(value, high));
}

/** A reduction over axes that are sorted and not negative. */
export function reduce(site: Site, op: string, value: Value, axes: readonly number[], keepDims = true): Value {
  const attributes = { axes: [...axes].sort((a, b) => a - b), keepDims };
  return site.cast(site.emit(op, [widened(site, value)], attributes), value.dtype);
}
