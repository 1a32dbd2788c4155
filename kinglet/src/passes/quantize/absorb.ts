import type { Graph } from "../../graph/index.ts";
import { inputOf, outputOf } from "../../ops/index.ts";
import { Edits, layerPairs, type LayerPair } from "./equalize.ts";
import { layerView } from "./layer.ts";

/** Of one channel of a layer's output, over calibration data. */
export interface ChannelStatistics {
  readonly mean: number;
  readonly deviation: number;
  readonly least: number;
}

const PADS = ["padTop", "padBottom", "padLeft", "padRight"];

/** A border of zeros would not have been shifted. */
function isShiftable({ first, between, second }: LayerPair): boolean {
  const padded = PADS.some((pad) => Number(second.attributes[pad] ?? 0) > 0);
  return first.attributes["activation"] === "relu" && between.length === 0 && !padded && Boolean(first.inputs[2]) && Boolean(second.inputs[2]);
}

/**
 * High-bias absorption (Nagel et al. 2019): what a channel always has, c = max(0, mean − 3 deviations) and never more
 * than the least that was seen, moves from the bias of a layer with a ReLU into the bias of the layer that reads it.
 * On the calibration data the network computes what it did before.
 * @param statistics by value id, for the outputs of layers
 */
export function absorbBias(graph: Graph, statistics: ReadonlyMap<number, readonly ChannelStatistics[]>): { graph: Graph; channels: number } {
  const edits = new Edits();
  let channels = 0;
  for (const pair of layerPairs(graph).filter(isShiftable)) {
    const seen = statistics.get(outputOf(pair.first).id);
    if (seen === undefined) continue;
    const shift = seen.map(({ mean, deviation, least }) => Math.max(0, Math.min(least, mean - 3 * deviation)));
    channels += shift.filter((c) => c > 0).length;
    const [bias, readerBias] = [edits.of(inputOf(pair.first, 2)), edits.of(inputOf(pair.second, 2))];
    const [weights, view] = [inputOf(pair.second, 1).data as Float32Array, layerView(pair.second)];
    shift.forEach((c, o) => {
      bias[o]! -= c;
    });
    for (let o = 0; o < view.outputs; o++) {
      for (let k = 0; k < view.width; k++) readerBias[o]! += weights[o * view.stepO + k * view.stepK]! * shift[view.channelOf(o, k) % shift.length]!;
    }
  }
  return { graph: channels === 0 ? graph : edits.apply(graph), channels };
}
