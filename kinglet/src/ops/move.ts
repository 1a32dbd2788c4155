import type { DType, Shape } from "../base/index.ts";
import type { ValueType } from "../graph/index.ts";
import { type Buffer, type BufferRef, type Expr, i32, type KernelBuilder } from "../loops/index.ts";
import { typed } from "./elementwise.ts";
import type { CaseInput, OpCase } from "./op.ts";

/** One side of a move: element (i0, i1, …) lies at base + i0 · strides[0] + i1 · strides[1] + … */
export interface Side {
  readonly buffer: BufferRef;
  readonly base: number | Expr;
  readonly strides: readonly number[];
}

interface Axis {
  size: number;
  readonly from: number;
  readonly to: number;
}

/** The fewest loops: sizes of 1 drop out, neighbours that step alike on both sides are one. */
function mergedAxes(shape: Shape, from: readonly number[], to: readonly number[]): Axis[] {
  const axes: Axis[] = [];
  for (let d = shape.length - 1; d >= 0; d--) {
    const axis = { size: shape[d]!, from: from[d]!, to: to[d]! };
    const inner = axes[0];
    if (axis.size === 1) continue;
    if (inner !== undefined && axis.from === inner.from * inner.size && axis.to === inner.to * inner.size) inner.size *= axis.size;
    else axes.unshift(axis);
  }
  return axes;
}

/** Whether a step is 1 or 0 shapes the code; any other is a parameter. */
function scaled(k: KernelBuilder, name: string, i: Expr, stride: number): Expr {
  return stride === 1 ? i : stride === 0 ? i32(0) : i.mul(k.int(name, stride));
}

/** Moves a block of `shape`, in contiguous runs where both sides have them. `part` tells apart the moves of one kernel. */
export function moveBlock(k: KernelBuilder, part: string, shape: Shape, to: Side, from: Side): void {
  const axes = mergedAxes(shape, from.strides, to.strides);
  const last = axes[axes.length - 1];
  const run = last === undefined ? i32(1) : last.from === 1 && last.to === 1 ? k.int(`${part}run`, axes.pop()!.size) : null;
  const start = (name: string, side: Side): Expr => (typeof side.base === "number" ? k.int(name, side.base) : side.base);
  const nest = (depth: number, toAt: Expr, fromAt: Expr): void => {
    const axis = axes[depth];
    if (axis === undefined) {
      if (run !== null) k.copy(to.buffer, toAt, from.buffer, fromAt, run);
      else k.store(to.buffer, toAt, (from.buffer as Buffer).load(fromAt));
      return;
    }
    k.for(`${part}i${depth}`, 0, k.int(`${part}size_${depth}`, axis.size), (i) =>
      nest(
        depth + 1,
        k.let(`${part}to_${depth}`, toAt.add(scaled(k, `${part}to_step_${depth}`, i, axis.to))),
        k.let(`${part}from_${depth}`, fromAt.add(scaled(k, `${part}from_step_${depth}`, i, axis.from))),
      ),
    );
  };
  nest(0, start(`${part}to_start`, to), start(`${part}from_start`, from));
}

/** Sum of index · stride; known where all parts are. */
export function offsetOf(indices: readonly number[], strides: readonly number[]): number {
  return indices.reduce((sum, index, d) => sum + index * strides[d]!, 0);
}

/** Element types that data movement is tried on. */
export const MOVED_TYPES: readonly DType[] = ["int8", "uint8", "int16", "int32", "int64", "float32", "bool"];

/** A tensor for a case: quantized where the type usually is. */
export function movedType(dtype: DType, shape: readonly number[]): CaseInput {
  if (dtype === "int8") return typed(dtype, [...shape], 0.05, -3);
  if (dtype === "uint8") return typed(dtype, [...shape], 0.05, 120);
  return dtype === "int16" ? typed(dtype, [...shape], 0.001) : { dtype, shape };
}

/** The same example for every element type. */
export function casesForTypes(
  ins: readonly Shape[],
  outs: readonly Shape[],
  attributes: OpCase["attributes"],
  types: readonly DType[] = MOVED_TYPES,
): OpCase[] {
  return types.map((dtype) => ({
    name: dtype,
    attributes,
    inputs: ins.map((shape) => movedType(dtype, shape)),
    outputs: outs.map((shape): ValueType => movedType(dtype, shape)),
  }));
}

/** Fills a whole tensor with one stored number. */
export function fillBuffer(k: KernelBuilder, output: Buffer, length: number, value: number | Expr): void {
  const stored =
    typeof value !== "number"
      ? value
      : output.type === "f32"
        ? k.float("fill", value)
        : output.type === "i64"
          ? k.int("fill", value).to("i64")
          : k.int("fill", value);
  k.for("f", 0, k.int("length", length), (i) => output.store(i, stored));
}
