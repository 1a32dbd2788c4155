import type { GraphBuilder, Value } from "../graph/index.ts";
import { addNode, misuse } from "./node.ts";

export interface ButterworthOptions {
  readonly kind: "lowpass" | "highpass";
  readonly order: number;
  /** Where half the power passes. */
  readonly cutoffHz: number;
  readonly sampleRate: number;
}

/**
 * Coefficients of a Butterworth filter as second-order sections, five numbers each: b0, b1, b2, a1, a2 (a0 is 1). The
 * analogue poles go through the bilinear transform, with the cutoff put right (Oppenheim and Schafer, "Discrete-Time
 * Signal Processing", 7.2). Sections of a low and of a high pass one after another make a band pass.
 * @throws KingletError `misuse`
 */
export function butterworth({ kind, order, cutoffHz, sampleRate }: ButterworthOptions): number[] {
  if (!Number.isInteger(order) || order < 1 || order > 20) misuse(`a filter of order ${order}`);
  if (!(cutoffHz > 0 && cutoffHz < sampleRate / 2)) misuse(`a cutoff of ${cutoffHz} Hz at ${sampleRate} samples a second`);
  const w = Math.tan((Math.PI * cutoffHz) / sampleRate);
  const low = kind === "lowpass";
  const sections: number[] = [];
  // A pair of poles at an angle; its damping is twice the sine.
  for (let pair = 1; pair <= order >> 1; pair++) {
    const damping = 2 * Math.sin((Math.PI * (2 * pair - 1)) / (2 * order));
    const norm = 1 + damping * w + w * w;
    const gain = (low ? w * w : 1) / norm;
    sections.push(gain, low ? 2 * gain : -2 * gain, gain, (2 * (w * w - 1)) / norm, (1 - damping * w + w * w) / norm);
  }
  if (order % 2 === 1) {
    const gain = (low ? w : 1) / (1 + w);
    sections.push(gain, low ? gain : -gain, 0, (w - 1) / (w + 1), 0);
  }
  return sections;
}

export interface FilterOptions {
  /** The filter goes on from run to run instead of starting at rest: for signals that come in pieces. */
  readonly streaming?: boolean;
}

/** Second-order sections one after another along the time of [n, time, channels]. */
export function filterTime(b: GraphBuilder, x: Value, sections: readonly number[], options: FilterOptions = {}): Value {
  if (options.streaming !== true) return addNode(b, "biquad", [x], { sections }, "filtered");
  const shape = [x.shape[0]!, x.shape[2]!, sections.length / 5, 2];
  return addNode(b, "biquad", [x, b.variable("filter_state", { dtype: "float32", shape })], { sections }, "filtered");
}
