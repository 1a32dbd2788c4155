import type { Graph, Value } from "../graph/index.ts";
import { imageInput, type NetworkOptions } from "./layers.ts";
import { TrainableLayers } from "./trainable-layers.ts";

/** Channels and stride of each stack of two convolutions. */
const STACKS: readonly (readonly [channels: number, stride: number])[] = [
  [16, 1],
  [32, 2],
  [64, 2],
];

/** Two convolutions around which the input is added; where the shape changes, a convolution brings the input to it. */
function stack(net: TrainableLayers, x: Value, name: string, channels: number, stride: number): Value {
  const inner = net.conv(`${name}_a`, x, { channels, filter: [3, 3], stride, activation: "relu" });
  const outer = net.conv(`${name}_b`, inner, { channels, filter: [3, 3] });
  const around = stride === 1 ? x : net.conv(`${name}_shortcut`, x, { channels, stride, normalize: false });
  return net.add(`${name}_add`, around, outer, "relu");
}

/** ResNet-8 of MLPerf Tiny (Banbury et al., arXiv 2106.07597; He et al., arXiv 1512.03385): image [n, 32, 32, 3] to [n, 10]. */
export function resnet8(options: NetworkOptions = {}): Graph {
  const { width = 1, resolution = 32, classes = 10 } = options;
  const scaled = (channels: number): number => Math.max(1, Math.round(channels * width));
  const net = new TrainableLayers("resnet8", options);
  let x = net.conv("conv", imageInput(net, resolution, options), { channels: scaled(16), filter: [3, 3], activation: "relu" });
  STACKS.forEach(([channels, stride], i) => {
    x = stack(net, x, `stack_${i + 1}`, scaled(channels), stride);
  });
  return net.build(net.classify(x, classes), `ResNet-8, ${resolution} × ${resolution} pixels.`);
}
