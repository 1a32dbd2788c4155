import { packLanes } from "./lanes.ts";
import { channelWords, type ScaledLayer, wordNames } from "./scaled-layer.ts";

/**
 * All that a layer's kernel reads beside its input, in reading order, so that one pointer does: for each block of
 * channels their biases, their weight pairs [tap / 4][channel], and their result words [word][channel].
 */
export interface WeightStream {
  readonly layer: ScaledLayer;
  readonly words: Int32Array;
  /** Words of one block. */
  readonly blockWords: number;
  /** Taps of a channel, filled up to a multiple of four. */
  readonly depth: number;
}

/** Undefined where a pair of weights does not fit its lane. Channels are a multiple of `block`. */
export function packStream(layer: ScaledLayer, channels: number, taps: number, block: number): WeightStream | undefined {
  const packed = packLanes(layer.weights, channels, taps, block);
  if (packed === undefined) return undefined;
  const lanes = new Int32Array(packed.buffer);
  const depth = Math.ceil(taps / 4) * 4;
  const blockWords = block * (1 + depth / 4 + wordNames(layer).length);
  const words = new Int32Array((channels / block) * blockWords);
  for (let first = 0; first < channels; first += block) {
    const at = (first / block) * blockWords;
    words.set(layer.bias.subarray(first, first + block), at);
    words.set(lanes.subarray((first * depth) / 4, ((first + block) * depth) / 4), at + block);
    for (let c = 0; c < block; c++) {
      channelWords(layer, first + c).forEach((word, i) => {
        words[at + block * (1 + depth / 4 + i) + c] = word;
      });
    }
  }
  return { layer, words, blockWords, depth };
}
