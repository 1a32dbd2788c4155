import type { Graph, Value } from "../graph/index.ts";
import { type DeployableOptions, imageInput, type Layers, nameOf } from "./layers.ts";
import { layersFor } from "./writer.ts";

/** Output channels at width 1 and stride of every block. */
const BLOCKS: readonly (readonly [channels: number, stride: number])[] = [
  [64, 1],
  [128, 2],
  [128, 1],
  [256, 2],
  [256, 1],
  [512, 2],
  [512, 1],
  [512, 1],
  [512, 1],
  [512, 1],
  [512, 1],
  [1024, 2],
  [1024, 1],
];

export interface MobileNetV1Options extends DeployableOptions {
  /** `full` is the twin that the paper compares with: each pair of depthwise and pointwise layers is one whole 3 × 3 convolution. */
  readonly convolutions?: "separable" | "full";
}

/** The numbered block: what one layer does in the full network takes two in the separable one. */
function block(net: Layers, x: Value, number: number, [channels, stride]: readonly [number, number], full: boolean): Value {
  if (full) return net.conv(`conv_${number}`, x, { channels, filter: [3, 3], stride, activation: "relu6" });
  const filtered = net.depthwise(`depthwise_${number}`, x, { stride, activation: "relu6" });
  return net.conv(`pointwise_${number}`, filtered, { channels, activation: "relu6" });
}

/** MobileNetV1 (Howard et al., arXiv 1704.04861): image [n, r, r, 3] to [n, classes]. Channels are cut to whole numbers. */
export function mobilenetV1(options: MobileNetV1Options = {}): Graph {
  const { width = 1, resolution = 224, precision, classes = 1000, convolutions = "separable" } = options;
  const full = convolutions === "full";
  const scaled = (atWidthOne: number): number => Math.max(1, Math.floor(atWidthOne * width));
  const net = layersFor(nameOf("mobilenet_v1", full ? "full" : undefined, width, resolution, precision), options, 2017);
  let x = net.conv("conv", imageInput(net, resolution, options), { channels: scaled(32), filter: [3, 3], stride: 2, activation: "relu6" });
  BLOCKS.forEach(([channels, stride], i) => {
    x = block(net, x, i + 1, [scaled(channels), stride], full);
  });
  return net.build(net.classify(x, classes), `MobileNetV1, width ${width}, ${resolution} × ${resolution} pixels.`);
}
