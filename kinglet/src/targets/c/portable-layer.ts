import type { Node } from "../../graph/index.ts";
import type { Expr, KernelBuilder } from "../../loops/index.ts";
import type { MultiplierRule } from "../../ops/index.ts";
import { channelBias, finishSum, type LayerForm, planLayer, type QuantizedLayer } from "./layer.ts";
import { SUM_SCALE } from "./requantization.ts";
import { channelTable, loadWords, planScaledLayer, requantizeScaled, type ScaledLayer, scaledResult, wordNames } from "./scaled-layer.ts";

/** Requantization of a channel's sums in a portable kernel: the proved one, or the specification's steps. */
export interface PortableResult {
  /** What is added to the sums of a channel after they went `scaleBits` to the left. */
  bias(channel: Expr): Expr;
  readonly scaleBits: number;
  /** Loads a channel's numbers; what it gives makes a stored result of a finished sum. */
  channel(k: KernelBuilder, channel: Expr): (sum: Expr) => Expr;
}

export interface PortablePlan {
  /** Zero in channels whose result is constant. */
  readonly weights: Int8Array;
  result(k: KernelBuilder): PortableResult;
}

/** The proved requantization of scaled sums where there is one, else the specification's steps; undefined for other layers. */
export function planPortable(node: Node, rule: MultiplierRule, kind: string, form: LayerForm): PortablePlan | undefined {
  const scaled = planScaledLayer(node, rule, kind, { ...form, scaledBias: (bias) => SUM_SCALE * bias });
  if (scaled !== undefined) return { weights: scaled.weights, result: (k) => scaledSums(k, scaled, form.block) };
  const plan = planLayer(node, rule, form);
  return plan === undefined ? undefined : { weights: plan.weights, result: (k) => specifiedSums(plan.tables(k)) };
}

function scaledSums(k: KernelBuilder, layer: ScaledLayer, block: number): PortableResult {
  const table = k.constant("bias_multiplier", "i32", channelTable(layer, block));
  const result = scaledResult(k, layer);
  return {
    bias: (channel) => table.load(channel.mul(1 + wordNames(layer).length)),
    scaleBits: Math.log2(SUM_SCALE),
    channel: (builder, channel) => {
      const words = loadWords(builder, table, result, channel);
      return (sum) => requantizeScaled(result, sum, words);
    },
  };
}

function specifiedSums(layer: QuantizedLayer): PortableResult {
  return {
    bias: (channel) => channelBias(layer, channel),
    scaleBits: 0,
    channel: (k, channel) => {
      const multiplier = k.let("multiplier", layer.pairs.load(channel.mul(2).add(1)));
      const shift = k.let("shift", layer.shift.load(channel));
      return (sum) => finishSum(k, layer, sum, multiplier, shift);
    },
  };
}
