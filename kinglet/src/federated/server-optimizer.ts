import { KingletError } from "../base/index.ts";
import { copySpans, type Span } from "./update.ts";

/** How the coordinator follows the combined update of a round (Reddi et al., ICLR 2021: the update is a gradient's opposite). */
export type ServerOptimizer =
  /** w + rate · Δ; with rate 1, the default, federated averaging. */
  | { readonly kind: "average"; readonly rate?: number }
  /** With momentum (Hsu et al. 2019): m ← β·m + Δ. */
  | { readonly kind: "momentum"; readonly rate?: number; readonly beta?: number }
  /** By coordinate: m ← β₁·m + (1 − β₁)·Δ, w + rate · m / (√v + τ), where v follows Δ² as Adagrad, Adam or Yogi do. */
  | { readonly kind: "adagrad" | "adam" | "yogi"; readonly rate?: number; readonly beta1?: number; readonly beta2?: number; readonly tau?: number };

/** What the coordinator remembers between rounds, by name. */
export type ServerState = ReadonlyMap<string, Float32Array>;

/** Parameters and memory after a round. */
export interface ServerStep {
  readonly parameters: Float32Array;
  readonly state: ServerState;
}

const TAU = 1e-3;
const BETA2 = 0.99;
const RATES = { adagrad: 0.1, adam: 0.1, yogi: 0.01 } as const;

function second(kind: "adagrad" | "adam" | "yogi", v: number, square: number, beta2: number): number {
  if (kind === "adagrad") return v + square;
  if (kind === "adam") return beta2 * v + (1 - beta2) * square;
  return v - (1 - beta2) * square * Math.sign(v - square);
}

/**
 * The parameters after a round. Memory that `state` lacks begins at 0, squares at τ².
 * @param statistics where running statistics lie: they follow their mean, since a variance that an optimizer moves may well become negative.
 * @throws KingletError `bad-input` where lengths differ.
 */
export function serverStep(
  optimizer: ServerOptimizer,
  parameters: Float32Array,
  delta: Float32Array,
  state: ServerState = new Map(),
  statistics: readonly Span[] = [],
): ServerStep {
  if (delta.length !== parameters.length)
    throw new KingletError("bad-input", `an update of ${delta.length} parameters does not fit a model of ${parameters.length}`);
  const step = optimized(optimizer, parameters, delta, state);
  const averaged = parameters.map((x, i) => x + delta[i]!);
  return { ...step, parameters: copySpans(step.parameters, averaged, statistics) };
}

function optimized(optimizer: ServerOptimizer, parameters: Float32Array, delta: Float32Array, state: ServerState): ServerStep {
  const { length } = parameters;
  const memory = (name: string, initial: number): Float32Array => state.get(name)?.slice() ?? new Float32Array(length).fill(initial);
  const moved = parameters.slice();
  if (optimizer.kind === "average") {
    const { rate = 1 } = optimizer;
    for (let i = 0; i < length; i++) moved[i]! += rate * delta[i]!;
    return { parameters: moved, state };
  }
  if (optimizer.kind === "momentum") {
    const { rate = 1, beta = 0.9 } = optimizer;
    const velocity = memory("velocity", 0);
    for (let i = 0; i < length; i++) {
      velocity[i] = beta * velocity[i]! + delta[i]!;
      moved[i]! += rate * velocity[i]!;
    }
    return { parameters: moved, state: new Map([["velocity", velocity]]) };
  }
  const { kind, rate = RATES[kind], beta1 = kind === "adagrad" ? 0 : 0.9, beta2 = BETA2, tau = TAU } = optimizer;
  const [mean, square] = [memory("mean", 0), memory("square", tau * tau)];
  for (let i = 0; i < length; i++) {
    mean[i] = beta1 * mean[i]! + (1 - beta1) * delta[i]!;
    square[i] = second(kind, square[i]!, delta[i]! * delta[i]!, beta2);
    moved[i]! += (rate * mean[i]!) / (Math.sqrt(square[i]!) + tau);
  }
  return {
    parameters: moved,
    state: new Map([
      ["mean", mean],
      ["square", square],
    ]),
  };
}
