import type { Graph } from "../graph/index.ts";
import { LayerWriter, type Precision } from "./layers.ts";

export interface MobileNetOptions {
  /** Multiplies the channels of every layer. */
  readonly width: number;
  /** Pixels of the square image. */
  readonly resolution: number;
  readonly precision: Precision;
  /** The default is 1000. */
  readonly classes?: number;
}

/** Output channels at width 1 and stride of every depthwise separable block. */
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

/** MobileNetV1 (Howard et al., arXiv 1704.04861): image [1, r, r, 3] to probabilities [1, classes]. Channels are cut to whole numbers. */
export function mobilenetV1({ width, resolution, precision, classes = 1000 }: MobileNetOptions): Graph {
  const channels = (atWidthOne: number): number => Math.floor(atWidthOne * width);
  const net = new LayerWriter(`mobilenet_v1_${width}_${resolution}_${precision}`, precision, 2017);
  let x = net.conv("conv", net.input("image", [1, resolution, resolution, 3]), channels(32), [3, 3], 2, "relu6");
  BLOCKS.forEach(([atWidthOne, stride], i) => {
    x = net.depthwise(`depthwise_${i + 1}`, x, stride, "relu6");
    x = net.conv(`pointwise_${i + 1}`, x, channels(atWidthOne), [1, 1], 1, "relu6");
  });
  return net.build(net.classify(x, classes), `MobileNetV1, width ${width}, ${resolution} × ${resolution} pixels.`);
}
