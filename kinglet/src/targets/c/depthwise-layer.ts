import type { Node } from "../../graph/index.ts";
import type { Buffer, KernelBuilder, KernelNotes } from "../../loops/index.ts";
import { convMultipliers, inputOf } from "../../ops/index.ts";
import type { RowKernel } from "./depthwise-rows.ts";
import { channelBias, type LayerForm, planLayer, requantizeLayer } from "./layer.ts";
import { SUM_SCALE } from "./requantization.ts";
import { channelWords, planScaledLayer, requantizeScaled, type ScaledLayer, scaledNotes, scaledResult, wordNames } from "./scaled-layer.ts";

/** A depthwise layer as the planar kernel takes it. */
export interface DepthwiseLayer {
  readonly weights: Int8Array;
  /** How many times the real weight each stored one is. */
  readonly factor: number;
  /** Of each channel, the words that lie before its weights. */
  readonly head: readonly (readonly number[])[];
  readonly ends: (k: KernelBuilder, table: Buffer) => RowKernel["ends"];
  readonly notes: KernelNotes;
}

const WEIGHTS = "pairs of 16 bits";

function scaledDepthwise(layer: ScaledLayer): DepthwiseLayer {
  const names = wordNames(layer);
  return {
    weights: layer.weights,
    notes: scaledNotes(layer, WEIGHTS),
    factor: SUM_SCALE,
    head: Array.from(layer.bias, (bias, c) => [bias, ...channelWords(layer, c)]),
    ends: (k, table) => {
      const result = scaledResult(k, layer);
      return (_k, _channel, from) => {
        const bias = k.let("bias", table.load(from));
        const words = names.map((name, i) => k.let(name, table.load(from.add(1 + i))));
        return { bias, finish: (sum) => requantizeScaled(result, sum, words) };
      };
    },
  };
}

/** Sums as they are, with the specification's own requantization. */
function plainDepthwise(node: Node, form: LayerForm): DepthwiseLayer | undefined {
  const plan = planLayer(node, convMultipliers, form);
  if (plan === undefined) return undefined;
  return {
    weights: plan.weights,
    notes: { ...plan.notes, weights: WEIGHTS, why: "no requantization of scaled sums was proved" },
    factor: 1,
    head: Array.from({ length: form.channels }, () => []),
    ends: (k) => {
      const layer = plan.tables(k);
      return (_k, channel) => ({
        bias: k.let("bias", channelBias(layer, channel)),
        finish: (sum) => requantizeLayer(k, layer, k.let("sum", sum), channel),
      });
    },
  };
}

/**
 * Prepares a depthwise layer with multiplier 1, or gives undefined where its types are others or its sums too large. Inputs
 * count less their zero point, so that filter rows outside the input can be left out.
 */
export function depthwiseLayer(node: Node): DepthwiseLayer | undefined {
  const [, height, width, channels] = inputOf(node, 1).shape as [number, number, number, number];
  const form: LayerForm = { channels, taps: height * width, first: (channel) => channel, step: channels, block: 1, fold: false };
  const scaled = planScaledLayer(node, convMultipliers, "depthwise", { ...form, scaledBias: (bias) => SUM_SCALE * bias });
  return scaled === undefined ? plainDepthwise(node, form) : scaledDepthwise(scaled);
}
