import type { Node, Quantization } from "../../graph/index.ts";
import { inputOf, roundAway } from "../../ops/index.ts";
import { layerView, outputRanges } from "./layer.ts";
import type { IntegerDomain } from "./rules.ts";
import { rangeOfData } from "./scale.ts";

export interface WeightOptions {
  /** 8 (−127…127) or 4 (−7…7, stored in bytes). The default is 8. */
  readonly bits?: 8 | 4;
  /** One scale for each output channel (the default), or one for the whole tensor. */
  readonly perAxis?: boolean;
}

/** The largest stored weight: symmetric, so that the most negative number of the type is never used. */
export function largestWeight(bits: 8 | 4): number {
  return bits === 8 ? 127 : 7;
}

/** A bias may take this much of 32 bits; the rest is for the sum of products. */
const LARGEST_BIAS = 2 ** 29;

/**
 * Scales of a layer's weights. A channel whose weights are so small that its bias would not fit into 32 bits at the
 * scale input · weights gets a coarser one; so does one of zeros.
 */
function weightScales(node: Node, axis: number, inputScale: number, options: WeightOptions, bias: ArrayLike<number> | undefined): Quantization {
  const view = layerView(node);
  const most = outputRanges(view, inputOf(node, 1).data as Float32Array);
  const limit = largestWeight(options.bits ?? 8);
  const scaleOf = (largest: number, largestBias: number): number => {
    const scale = Math.fround(Math.max(largest / limit, largestBias / (inputScale * LARGEST_BIAS)));
    return scale > 0 ? scale : 1;
  };
  const biases = Array.from({ length: view.outputs }, (_, o) => Math.abs(bias?.[o] ?? 0));
  const scales =
    options.perAxis === false ? [scaleOf(Math.max(...most), Math.max(...biases))] : most.map((largest, o) => scaleOf(largest, biases[o]!));
  return { scales, zeroPoints: scales.map(() => 0), axis: scales.length === 1 ? 0 : axis };
}

/** A layer's constants as integers. */
export interface QuantizedLayer {
  readonly weights: Int8Array;
  readonly quantization: Quantization;
  readonly bias: Int32Array | BigInt64Array;
  readonly biasQuantization: Quantization;
}

/** Replacements that a remedy worked out for a layer. */
export interface LayerOverride {
  /** Stored weights, used where the layer's scales are the ones that they were found for. */
  readonly weights?: Int8Array;
  readonly scales?: readonly number[];
  /** Real numbers, added to the bias. */
  readonly biasShift?: Float64Array;
}

function overridden({ weights, scales }: LayerOverride, quantization: Quantization): Int8Array | undefined {
  const fits = scales?.length === quantization.scales.length && scales.every((scale, o) => scale === quantization.scales[o]);
  return fits ? weights : undefined;
}

/** Nearest stored weights, halves away from zero. */
export function roundWeights(node: Node, quantization: Quantization, bits: 8 | 4): Int8Array {
  const data = inputOf(node, 1).data as Float32Array;
  const view = layerView(node);
  const limit = largestWeight(bits);
  const stored = new Int8Array(data.length);
  for (let o = 0; o < view.outputs; o++) {
    const scale = quantization.scales[quantization.scales.length > 1 ? o : 0]!;
    for (let k = 0; k < view.width; k++) {
      const at = o * view.stepO + k * view.stepK;
      stored[at] = Math.max(-limit, Math.min(limit, roundAway(data[at]! / scale)));
    }
  }
  return stored;
}

/** Weights and bias of a layer whose input has the given scale. The bias has scale input · weights and zero point 0. */
export function quantizeLayer(
  node: Node,
  axis: number,
  inputScale: number,
  domain: IntegerDomain,
  options: WeightOptions,
  override: LayerOverride = {},
): QuantizedLayer {
  rangeOfData(inputOf(node, 1).data!, inputOf(node, 1).name);
  const bias = node.inputs[2]?.data as Float32Array | undefined;
  const quantization = weightScales(node, axis, inputScale, options, bias);
  const { outputs } = layerView(node);
  const biasScales = quantization.scales.map((scale) => Math.fround(Math.fround(inputScale) * scale));
  const scaleAt = (o: number): number => inputScale * quantization.scales[quantization.scales.length > 1 ? o : 0]!;
  const stored = Float64Array.from({ length: outputs }, (_, o) => roundAway(((bias?.[o] ?? 0) + (override.biasShift?.[o] ?? 0)) / scaleAt(o)));
  return {
    weights: overridden(override, quantization) ?? roundWeights(node, quantization, options.bits ?? 8),
    quantization,
    bias: domain === "int16" ? BigInt64Array.from(stored, BigInt) : Int32Array.from(stored),
    biasQuantization: { scales: biasScales.map((scale) => (scale > 0 ? scale : 1e-38)), zeroPoints: biasScales.map(() => 0), axis: 0 },
  };
}
