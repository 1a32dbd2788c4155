import { elementCount, KingletError } from "../base/index.ts";
import type { GraphBuilder, Value } from "../graph/index.ts";

/** How weights follow their gradients. Weight decay is left out of vectors (biases, scales), as is usual. */
export type Optimizer =
  /** Stochastic gradient descent with momentum (default 0.9), with Nesterov's look ahead where asked for. */
  | { readonly kind: "sgd"; readonly momentum?: number; readonly nesterov?: boolean; readonly weightDecay?: number }
  /** Kingma & Ba, ICLR 2015; with `decoupled` decay it is AdamW (Loshchilov & Hutter, ICLR 2019). */
  | {
      readonly kind: "adam";
      readonly beta1?: number;
      readonly beta2?: number;
      readonly epsilon?: number;
      readonly weightDecay?: number;
      readonly decoupled?: boolean;
    }
  | { readonly kind: "rmsprop"; readonly decay?: number; readonly epsilon?: number; readonly weightDecay?: number };

/** A variable of the training step: a parameter, a statistic or an optimizer's memory. */
export interface StateVariable {
  readonly name: string;
  readonly value: Value;
}

const BETA1 = 0.9;
const BETA2 = 0.999;

/** Numbers that an optimizer is given anew in every step. */
export function rateCount(optimizer: Optimizer): number {
  return optimizer.kind === "adam" ? 3 : 1;
}

/** Those numbers for a learning rate in step `step` (from 1). */
export function ratesFor(optimizer: Optimizer, rate: number, step: number): Float32Array {
  if (optimizer.kind !== "adam") return Float32Array.of(rate);
  const { beta1 = BETA1, beta2 = BETA2 } = optimizer;
  return Float32Array.of(rate, rate / (1 - beta1 ** step), 1 / Math.sqrt(1 - beta2 ** step));
}

function memoryOf(builder: GraphBuilder, name: string, weights: Value): StateVariable {
  const value = builder.variable(name, { dtype: "float32", shape: weights.shape }, new Float32Array(elementCount(weights.shape)));
  return { name, value };
}

/** Seeds of random streams should differ in all bits: the golden ratio's spread. */
const seedOf = (number: number): number => Math.imul(number, 0x9e3779b1);

/**
 * Writes the node that moves int8 weights or an int32 bias, and gives the random stream that rounds its steps. Each has its own: with one
 * for all they could only be updated in one order.
 * @param number from 1, of this parameter. @param scaled see the operator.
 * @throws KingletError `misuse` for an optimizer that they cannot follow: its memory would be floats, four bytes for each weight.
 */
export function writeIntegerUpdate(
  builder: GraphBuilder,
  optimizer: Optimizer,
  weights: Value,
  gradient: Value,
  rates: Value,
  number: number,
  scaled: boolean,
): StateVariable {
  if (optimizer.kind !== "sgd" || optimizer.momentum !== 0 || (optimizer.weightDecay ?? 0) !== 0)
    throw new KingletError("misuse", "int8 weights learn by gradient descent without momentum and weight decay", { place: weights.name });
  const name = `${weights.name}/rounding`;
  const random = builder.variable(name, { dtype: "int32", shape: [1] }, Int32Array.of(seedOf(number)));
  builder.node("quantizedDescentUpdate", [weights, random, gradient, rates], [], { scaled }, `update ${weights.name}`);
  return { name, value: random };
}

/** Writes the node that moves `weights` against `gradient`, and gives the memory that it needs. */
export function writeUpdate(builder: GraphBuilder, optimizer: Optimizer, weights: Value, gradient: Value, rates: Value): StateVariable[] {
  const decay = weights.shape.length > 1 ? (optimizer.weightDecay ?? 0) : 0;
  const memory = (what: string): StateVariable => memoryOf(builder, `${weights.name}/${what}`, weights);
  switch (optimizer.kind) {
    case "sgd": {
      if (optimizer.momentum === 0) {
        builder.node("descentUpdate", [weights, gradient, rates], [], { weightDecay: decay }, `update ${weights.name}`);
        return [];
      }
      const velocity = memory("velocity");
      const attributes = { momentum: optimizer.momentum ?? 0.9, nesterov: optimizer.nesterov ?? false, weightDecay: decay };
      builder.node("sgdUpdate", [weights, velocity.value, gradient, rates], [], attributes, `update ${weights.name}`);
      return [velocity];
    }
    case "adam": {
      const { beta1 = BETA1, beta2 = BETA2, epsilon = 1e-7, decoupled = false } = optimizer;
      const [mean, square] = [memory("mean"), memory("square")];
      const attributes = { beta1, beta2, epsilon, decoupled, weightDecay: decay };
      builder.node("adamUpdate", [weights, mean.value, square.value, gradient, rates], [], attributes, `update ${weights.name}`);
      return [mean, square];
    }
    case "rmsprop": {
      const square = memory("square");
      const attributes = { decay: optimizer.decay ?? 0.9, epsilon: optimizer.epsilon ?? 1e-7, weightDecay: decay };
      builder.node("rmsPropUpdate", [weights, square.value, gradient, rates], [], attributes, `update ${weights.name}`);
      return [square];
    }
    default:
      return optimizer satisfies never;
  }
}

/** @throws KingletError `misuse` for numbers that no optimizer can work with. */
export function checkOptimizer(optimizer: Optimizer): void {
  const bad = Object.entries(optimizer).find(([, value]) => typeof value === "number" && !(value >= 0 && Number.isFinite(value)));
  if (bad !== undefined) throw new KingletError("misuse", `the optimizer's ${bad[0]} is ${bad[1]}; it must be a number of at least 0`);
}
