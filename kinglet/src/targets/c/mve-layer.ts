import type { Node } from "../../graph/index.ts";
import { type Buffer, type Expr, helium, type KernelBuilder, vectorLoad } from "../../loops/index.ts";
import { type Activation, attributesOf, inputOf, type MultiplierRule, resultBounds } from "../../ops/index.ts";
import { analyseLayer, clearedWeights, isInt8Layer, type LayerForm } from "./layer.ts";

/** Output channels that are requantized together: the 32-bit lanes of a vector. */
export const QUAD = 4;

/** Bytes of a vector. */
export const VECTOR = 16;

/** Weights and requantization of an int8 layer for kernels with Helium vectors. */
export interface VectorPlan {
  /** Zero in channels whose result is constant. */
  readonly weights: Int8Array;
  tables(k: KernelBuilder): VectorLayer;
}

/** What becomes of a rounded result before it is stored. */
export interface ResultForm {
  readonly zeroPoint: Expr;
  /** Least and greatest result; null where those are the int8 range itself. */
  readonly bounds: { readonly low: Expr; readonly high: Expr } | null;
  /** The clamp hides how negative results are rounded. */
  readonly clampsNegative: boolean;
}

export interface VectorLayer extends ResultForm {
  /** [channel / 4][bias, multiplier, minus the right shift][channel % 4] */
  readonly table: Buffer;
}

/** A quad's constants, loaded once for several vectors of sums. */
export interface QuadScale {
  readonly bias: Expr;
  readonly multiplier: Expr;
  readonly shift: Expr;
}

/** Rounding shifts by at least 1 to the right of sums that 32 bits hold, or undefined. The last quad is filled up with zeros. */
export function planVectors(node: Node, rule: MultiplierRule, form: LayerForm): VectorPlan | undefined {
  if (!isInt8Layer(node)) return undefined;
  const data = inputOf(node, 1).data as Int8Array;
  const channels = analyseLayer(node, rule, form, data);
  const fits = channels.every(({ bound, multiplier }) => bound < 2 ** 31 && multiplier.shift <= -1 && multiplier.shift >= -31);
  if (!fits) return undefined;
  const table = new Int32Array(Math.ceil(channels.length / QUAD) * QUAD * 3);
  channels.forEach(({ bias, multiplier }, c) => {
    const at = Math.floor(c / QUAD) * QUAD * 3 + (c % QUAD);
    table[at] = bias;
    table[at + QUAD] = multiplier.multiplier;
    table[at + 2 * QUAD] = multiplier.shift;
  });
  return {
    weights: clearedWeights(data, form, channels),
    tables: (k) => ({ table: k.constant("bias_multiplier_shift", "i32", table), ...resultForm(k, node) }),
  };
}

/** Zero point and bounds of a node's int8 result. */
export function resultForm(k: KernelBuilder, node: Node): ResultForm {
  const { low, high, zeroPoint } = resultBounds(node, attributesOf<{ activation?: Activation }>(node).activation ?? "none");
  const splat = (name: string, value: number): Expr => k.let(`${name}s`, helium("splat", k.int(name, value)));
  return {
    zeroPoint: k.int("zero_point", zeroPoint),
    bounds: low === -128 && high === 127 ? null : { low: splat("low", low), high: splat("high", high) },
    clampsNegative: low >= zeroPoint,
  };
}

/** Bias, multiplier and shift of the quad that starts at `channel`. */
export function quadScale(k: KernelBuilder, layer: VectorLayer, channel: Expr): QuadScale {
  const at = k.let("scale_at", channel.mul(3));
  const load = (name: string, i: number): Expr => k.let(name, vectorLoad("i32x4", layer.table, at.add(QUAD * i)));
  return { bias: load("bias", 0), multiplier: load("multiplier", 1), shift: load("shift", 2) };
}

/**
 * The stored results of four finished sums, one in each lane: TensorFlow Lite's two roundings. Results below zero
 * round halves away from it; where the clamp makes them all one, that step is left out.
 */
export function requantizeQuad(k: KernelBuilder, layer: VectorLayer, scale: QuadScale, sums: readonly Expr[]): Expr {
  const [a, b, c, d] = sums as [Expr, Expr, Expr, Expr];
  const biased = helium("add", helium("lanes", a, b, c, d), scale.bias);
  const high = helium("highMul", biased, scale.multiplier);
  return storedQuad(k, layer, helium("roundingShift", layer.clampsNegative ? high : helium("addSign", high), scale.shift));
}

/** Adds the zero point and clamps. */
export function storedQuad(k: KernelBuilder, { zeroPoint, bounds }: ResultForm, rounded: Expr): Expr {
  const raised = helium("addScalar", rounded, zeroPoint);
  return k.let("results", bounds === null ? helium("saturate8", raised) : helium("min", helium("max", raised, bounds.low), bounds.high));
}
