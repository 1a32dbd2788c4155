import type { Graph } from "../graph/index.ts";
import { imageInput, type NetworkOptions } from "./layers.ts";
import { TrainableLayers } from "./trainable-layers.ts";

/**
 * The convolutional network of federated averaging (McMahan et al., AISTATS 2017): two convolutions of 5 × 5 with pooling and a layer of
 * 512: image [n, 28, 28, 1] to [n, 10], 1,663,370 parameters.
 */
export function fedAvgCnn(options: NetworkOptions = {}): Graph {
  const { width = 1, resolution = 28, inputChannels = 1, classes = 10 } = options;
  const scaled = (channels: number): number => Math.max(1, Math.round(channels * width));
  const net = new TrainableLayers("fedavg_cnn", options);
  let x = imageInput(net, resolution, { ...options, inputChannels });
  for (const [i, channels] of [32, 64].entries()) {
    x = net.conv(`conv_${i + 1}`, x, { channels: scaled(channels), filter: [5, 5], activation: "relu", normalize: false });
    x = net.pool(`pool_${i + 1}`, x, "maxPool2d", [2, 2], 2);
  }
  const dense = net.dense("dense", x, { units: scaled(512), activation: "relu" });
  return net.build(net.logits(dense, classes), `Two convolutions and two dense layers, ${resolution} × ${resolution} pixels.`);
}
