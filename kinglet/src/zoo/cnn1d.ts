import type { Graph } from "../graph/index.ts";
import type { NetworkOptions } from "./layers.ts";
import { TrainableLayers } from "./trainable-layers.ts";

export interface Cnn1dOptions extends Omit<NetworkOptions, "resolution"> {
  /** Readings in a row; the default is 128. */
  readonly length?: number;
}

/** Channels of the convolutions; each but the first sees a sequence of half the length. */
const CHANNELS = [16, 32, 48, 64];
const TAPS = 5;

/**
 * A convolutional network over time, for motion and other signals: readings [n, length, 1, channels] to [n, classes]. A
 * sequence is a map of one column, so that it has the kernels of pictures.
 */
export function cnn1d(options: Cnn1dOptions = {}): Graph {
  const { length = 128, inputChannels = 3, batch = 1, width = 1, classes = 4 } = options;
  const net = new TrainableLayers("cnn_1d", options);
  let x = net.input("signal", [batch, length, 1, inputChannels]);
  CHANNELS.forEach((channels, i) => {
    if (i > 0) x = net.pool(`pool_${i}`, x, "maxPool2d", [2, 1], 2);
    x = net.conv(`conv_${i + 1}`, x, { channels: Math.max(1, Math.round(channels * width)), filter: [TAPS, 1], activation: "relu" });
  });
  return net.build(net.classify(x, classes), `A 1-D CNN over ${length} readings of ${inputChannels} channels.`);
}
