import type { Node } from "../../../graph/index.ts";
import { type Buffer, type Expr, type KernelBuilder, vector, vectorLoad } from "../../../loops/index.ts";
import { isActivation } from "../layer.ts";

/** Floats of a vector. */
export const LANES = 4;

/** Writes one of several nested loops. */
export type LoopWriter = (name: string, to: Expr, body: (i: Expr) => void, step?: number) => void;

/** Writers of nested loops with so many turns, from the outermost: threads share the first that has more than one. */
export function nestedLoops(k: KernelBuilder, ...turns: readonly number[]): LoopWriter[] {
  const shared = turns.findIndex((count) => count > 1);
  return turns.map((_, depth): LoopWriter => {
    const write = (depth === shared ? k.parallelFor : k.for).bind(k);
    return (name, to, body, step) => write(name, 0, to, body, step);
  });
}

export function load(buffer: Buffer, at: Expr): Expr {
  return vectorLoad("f32x4", buffer, at);
}

/** One element in every lane. */
export function splat(buffer: Buffer, at: Expr): Expr {
  return vectorLoad("f32x4", buffer, at, "splat");
}

export function store(k: KernelBuilder, buffer: Buffer, at: Expr, value: Expr): void {
  k.emit({ kind: "vectorStore", buffer, index: at, value, form: "full" });
}

/** a · b + sum */
export function multiplyAdd(a: Expr, b: Expr, sum: Expr): Expr {
  return vector("f32x4.multiply_add", [a, b, sum]);
}

export const add = (a: Expr, b: Expr): Expr => vector("f32x4.add", [a, b]);
export const sub = (a: Expr, b: Expr): Expr => vector("f32x4.sub", [a, b]);
export const mul = (a: Expr, b: Expr): Expr => vector("f32x4.mul", [a, b]);
export const div = (a: Expr, b: Expr): Expr => vector("f32x4.div", [a, b]);
export const sqrt = (a: Expr): Expr => vector("f32x4.sqrt", [a]);

/** A number of the layer in every lane. */
export function everywhere(k: KernelBuilder, name: string, value: number): Expr {
  return vector("f32x4.splat", [k.float(name, value)]);
}

const BOUNDS = { relu: [0, Infinity], relu6: [0, 6], reluN1To1: [-1, 1] } as const;

/** Activations that pass what is inside their bounds. */
export type Bounded = keyof typeof BOUNDS;

export function isBounded(activation: string): activation is Bounded {
  return activation in BOUNDS;
}

/** The gradient before an activation: `dy` where its result is inside its bounds, else 0. */
export function whereOpen(k: KernelBuilder, activation: Bounded, dy: Expr, result: Expr): Expr {
  const [low, high] = BOUNDS[activation];
  const above = vector("f32x4.gt", [result, everywhere(k, "lowest", low)]);
  const open = high === Infinity ? above : vector("i32x4.and", [above, vector("f32x4.lt", [result, everywhere(k, "highest", high)])]);
  return vector("f32x4.of_i32x4", [vector("i32x4.and", [vector("i32x4.of_f32x4", [dy]), open])]);
}

/** Floats that lie in the arena, with weights that may change from run to run. */
export function isFloatStep(node: Node, values: readonly number[]): boolean {
  const all = [...node.inputs, ...node.outputs].every((value) => value === null || value.dtype === "float32");
  return all && values.every((index) => isActivation(node.inputs[index]!));
}
