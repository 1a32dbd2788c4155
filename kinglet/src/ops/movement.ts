import type { DType, Shape } from "../base/index.ts";
import { stridesOf } from "../base/index.ts";
import type { Quantization } from "../graph/index.ts";
import type { Buffer, Expr, KernelBuilder } from "../loops/index.ts";
import type { CaseInput } from "./op.ts";

/** One loop of a move: how many steps, and how far each takes the reader and the writer (in elements). */
export interface MoveLoop {
  readonly size: number;
  readonly from: number;
  readonly to: number;
}

/** Copies a box of elements from one layout to another. */
export interface Move {
  readonly loops: readonly MoveLoop[];
  readonly fromStart: number;
  readonly toStart: number;
}

/** The fewest loops: sizes of 1 vanish, neighbours that step alike on both sides are one. */
function merged(loops: readonly MoveLoop[]): MoveLoop[] {
  const list: MoveLoop[] = [];
  for (const loop of [...loops].reverse()) {
    if (loop.size === 1) continue;
    const inner = list[0];
    if (inner !== undefined && loop.from === inner.from * inner.size && loop.to === inner.to * inner.size) list[0] = { ...inner, size: inner.size * loop.size };
    else list.unshift(loop);
  }
  return list;
}

function stepped(k: KernelBuilder, base: Expr, i: Expr, name: string, step: number): Expr {
  if (step === 0) return base;
  return base.add(step === 1 ? i : i.mul(k.int(name, step)));
}

/**
 * Emits a move. Runs that are contiguous on both sides are copied as a whole. Names start with `prefix`, so that
 * one kernel may hold several moves.
 */
export function emitMove(k: KernelBuilder, move: Move, input: Buffer, output: Buffer, prefix = ""): void {
  const loops = merged(move.loops);
  const last = loops[loops.length - 1];
  const run = last !== undefined && last.from === 1 && last.to === 1 ? loops.pop()!.size : loops.length === 0 ? 1 : 0;
  const nest = (depth: number, from: Expr, to: Expr): void => {
    const loop = loops[depth];
    if (loop === undefined) {
      if (run > 0) k.copy(output, to, input, from, k.int(`${prefix}run`, run));
      else output.store(to, input.load(from));
      return;
    }
    k.for(`${prefix}i${depth}`, 0, k.int(`${prefix}size_${depth}`, loop.size), (i) =>
      nest(depth + 1, k.let(`${prefix}from_${depth}`, stepped(k, from, i, `${prefix}from_step_${depth}`, loop.from)), k.let(`${prefix}to_${depth}`, stepped(k, to, i, `${prefix}to_step_${depth}`, loop.to))));
  };
  nest(0, k.int(`${prefix}from_start`, move.fromStart), k.int(`${prefix}to_start`, move.toStart));
}

/** Loops over `shape` with the strides of both sides. */
export function moveLoops(shape: Shape, from: readonly number[], to: readonly number[]): MoveLoop[] {
  return shape.map((size, d) => ({ size, from: from[d]!, to: to[d]! }));
}

/** A box of `shape` whose corner lies at `at` in a tensor of shape `whole`: strides and the corner's element. */
export function boxIn(whole: Shape, at: readonly number[]): { strides: number[]; start: number } {
  const strides = stridesOf(whole);
  return { strides, start: at.reduce((sum, index, d) => sum + index * strides[d]!, 0) };
}

/** Fills a whole buffer with one stored number. */
export function emitFill(k: KernelBuilder, output: Buffer, count: number, value: number): void {
  const float = output.type === "f32";
  const stored = float ? k.float("value", value) : k.int("value", value);
  k.for("fill", 0, k.int("count", count), (i) => output.store(i, output.type === "i64" ? stored.to("i64") : stored));
}

/** Types for cases of operators that only move elements: quantized where the dtype usually is. */
export function movable(dtype: DType, shape: number[]): CaseInput {
  const quantization: Quantization | undefined = dtype === "int8" || dtype === "uint8" || dtype === "int16" ? { scales: [0.1], zeroPoints: [dtype === "int16" ? 0 : 3], axis: 0 } : undefined;
  return quantization === undefined ? { dtype, shape } : { dtype, shape, quantization };
}

/** Element types that the loop language can hold, for cases. */
export const MOVABLE_TYPES: readonly DType[] = ["int8", "uint8", "int16", "int32", "int64", "float32", "bool"];
