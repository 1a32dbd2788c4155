import { broadcastShapes, type DType, elementCount, type Shape, shapeText, stridesOf } from "../base/index.ts";
import type { Node, Quantization, ValueType } from "../graph/index.ts";
import { constant, type Expr, i32, type KernelBuilder, loadedType, memoryTypeOf, type ScalarType } from "../loops/index.ts";
import { tanhFloat } from "./float-math.ts";
import { type CaseInput, inputOf, type OpCase, outputOf, refuse, typeAt, unsupportedTypes } from "./op.ts";
import { type Activation, floatBounds, quantizationOf } from "./quantization.ts";

/** One loop of a broadcast, with the step of every operand (0 where the operand is repeated). */
interface Axis {
  size: number;
  readonly strides: number[];
}

/** Strides of `shape` seen as `rank` dimensions, 0 where it is repeated. */
function broadcastStrides(shape: Shape, rank: number): number[] {
  const strides = stridesOf(shape);
  return Array.from({ length: rank }, (_, d) => {
    const own = d - rank + shape.length;
    return own < 0 || shape[own] === 1 ? 0 : strides[own]!;
  });
}

/** The fewest loops that visit `shape` with all `operands`: neighbours that step alike are one loop. */
function broadcastAxes(shape: Shape, operands: readonly Shape[]): Axis[] {
  const strides = [...operands, shape].map((operand) => broadcastStrides(operand, shape.length));
  const axes: Axis[] = [];
  for (let d = shape.length - 1; d >= 0; d--) {
    if (shape[d] === 1) continue;
    const here = strides.map((s) => s[d]!);
    const inner = axes[0];
    if (inner !== undefined && here.every((s, i) => s === inner.strides[i]! * inner.size)) inner.size *= shape[d]!;
    else axes.unshift({ size: shape[d]!, strides: here });
  }
  return axes.length === 0 ? [{ size: 1, strides: strides.map(() => 1) }] : axes;
}

const NAMES = ["a", "b", "c"];

/** Whether a step is 0, 1 or something else shapes the code; only its size is a parameter. */
function stepped(k: KernelBuilder, name: string, base: Expr | null, i: Expr, stride: number): Expr | null {
  if (stride === 0) return base;
  const term = stride === 1 ? i : i.mul(k.int(name, stride));
  return base === null ? term : base.add(term);
}

/**
 * Visits every element of an output, with the index of the matching element of each operand.
 * Operands follow NumPy's broadcasting.
 */
export function eachBroadcast(k: KernelBuilder, shape: Shape, operands: readonly Shape[], body: (at: Expr, indices: Expr[]) => void): void {
  const axes = broadcastAxes(shape, operands);
  const names = [...operands.map((_, i) => NAMES[i] ?? `x${i}`), "y"];
  const nest = (depth: number, bases: readonly (Expr | null)[]): void => {
    const axis = axes[depth];
    if (axis === undefined) {
      const indices = bases.map((base) => base ?? i32(0));
      body(indices[indices.length - 1]!, indices.slice(0, -1));
      return;
    }
    k.for(`i${depth}`, 0, k.int(`size_${depth}`, axis.size), (i) => {
      const next = bases.map((base, n) => {
        const at = stepped(k, `${names[n]}_step_${depth}`, base, i, axis.strides[n]!);
        return at === null || at === base || at === i ? at : k.let(`${names[n]}${depth}`, at);
      });
      nest(depth + 1, next);
    });
  };
  nest(
    0,
    names.map(() => null),
  );
}

/** Visits every element of a tensor in memory order. */
export function eachElement(k: KernelBuilder, shape: Shape, body: (i: Expr) => void): void {
  k.for("i", 0, k.int("count", elementCount(shape)), body);
}

/** The scalar that elements of a value become when they are loaded. */
export function scalarOf(node: Node, value: ValueType): ScalarType {
  const type = memoryTypeOf(value.dtype);
  if (type === undefined) throw unsupportedTypes(node);
  return loadedType(type);
}

export function isQuantizedType(dtype: DType): boolean {
  return dtype === "int8" || dtype === "uint8" || dtype === "int16";
}

/** Scales are stored in single precision; the rules for multipliers start from that. */
export function scaleOf(node: Node, value: ValueType): number {
  return Math.fround(quantizationOf(node, value).scale);
}

export function zeroPointOf(node: Node, value: ValueType): number {
  return quantizationOf(node, value).zeroPoint;
}

/** All inputs and the output have one element type. @throws KingletError `unsupported` otherwise. */
export function oneType(node: Node, allowed: readonly DType[]): DType {
  const dtype = inputOf(node, 0).dtype;
  const same = [...node.inputs, ...node.outputs].every((value) => value === null || value.dtype === dtype);
  if (!same || !allowed.includes(dtype)) throw unsupportedTypes(node);
  return dtype;
}

/** A fused activation on a plain (not quantized) number. */
export function activatePlain(k: KernelBuilder, x: Expr, activation: Activation): Expr {
  if (activation === "tanh" && x.type === "f32") return k.call(tanhFloat, x);
  const { low, high } = floatBounds(activation);
  const above = low === -Infinity ? x : x.max(constant(low, x.type));
  return high === Infinity ? above : above.min(constant(high, x.type));
}

/** The shape of two or more operands together. */
export function broadcastOf(op: string, types: readonly ValueType[]): number[] {
  return types.slice(1).reduce<number[]>(
    (shape, type) => {
      const joined = broadcastShapes(shape, type.shape);
      if (joined === null) refuse(op, `the shapes ${types.map((t) => shapeText(t.shape)).join(" and ")} do not broadcast`);
      return joined;
    },
    [...types[0]!.shape],
  );
}

/** The two operands of a binary operator, which have one element type. */
export function binaryTypes(op: string, inputs: readonly (ValueType | null)[]): [ValueType, ValueType] {
  const [a, b] = [typeAt(op, inputs, 0), typeAt(op, inputs, 1)];
  if (a.dtype !== b.dtype) refuse(op, `operands of ${a.dtype} and ${b.dtype}`);
  return [a, b];
}

/** A binary operator's loops: every output element from one element of each operand. */
export function binaryLoops(k: KernelBuilder, node: Node, element: (a: Expr, b: Expr) => Expr): void {
  const a = k.input(0, "a");
  const b = k.input(1, "b");
  const y = k.output(0, "y");
  eachBroadcast(k, outputOf(node).shape, [inputOf(node, 0).shape, inputOf(node, 1).shape], (at, [ia, ib]) =>
    y.store(at, element(k.let("left", a.load(ia!)), k.let("right", b.load(ib!)))),
  );
}

/** A unary operator's loops. */
export function unaryLoops(k: KernelBuilder, node: Node, element: (x: Expr) => Expr): void {
  const x = k.input(0, "x");
  const y = k.output(0, "y");
  eachElement(k, outputOf(node).shape, (i) => y.store(i, element(k.let("value", x.load(i)))));
}

/** Type pieces for cases. */
export function typed(dtype: DType, shape: number[], scale?: number, zeroPoint = 0): CaseInput {
  if (scale === undefined) return { dtype, shape };
  const quantization: Quantization = { scales: [scale], zeroPoints: [zeroPoint], axis: 0 };
  return { dtype, shape, quantization };
}

export function makeCase(name: string, inputs: readonly CaseInput[], output: ValueType, attributes: OpCase["attributes"] = {}): OpCase {
  return { name, inputs, outputs: [output], attributes };
}
