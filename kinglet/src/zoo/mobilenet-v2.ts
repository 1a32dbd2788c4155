import type { Graph } from "../graph/index.ts";
import { invertedResidual } from "./blocks.ts";
import { type DeployableOptions, divisibleByEight, imageInput, nameOf } from "./layers.ts";
import { layersFor } from "./writer.ts";

export interface MobileNetV2Options extends DeployableOptions {
  /**
   * `paper` (the default) is the published network. `chain` is what planners of fused layers are compared on (msf-CNN,
   * NeurIPS 2025): no sums, channels cut to whole numbers, the last convolution scaled as well, and a first block that
   * expands too.
   */
  readonly variant?: "paper" | "chain";
}

/** Expansion, output channels at width 1, blocks, and stride of the first of them. */
const STAGES: readonly (readonly [expansion: number, channels: number, blocks: number, stride: number])[] = [
  [1, 16, 1, 1],
  [6, 24, 2, 2],
  [6, 32, 3, 2],
  [6, 64, 4, 2],
  [6, 96, 3, 1],
  [6, 160, 3, 2],
  [6, 320, 1, 1],
];
const STEM_CHANNELS = 32;
const LAST_CHANNELS = 1280;

/** MobileNetV2 (Sandler et al., arXiv 1801.04381): image [n, r, r, 3] to [n, classes]. */
export function mobilenetV2(options: MobileNetV2Options = {}): Graph {
  const { width = 1, resolution = 224, precision, classes = 1000, variant = "paper" } = options;
  const chain = variant === "chain";
  const scaled = (atWidthOne: number): number => (chain ? Math.floor(atWidthOne * width) : divisibleByEight(atWidthOne * width));
  const last = chain || width > 1 ? scaled(LAST_CHANNELS) : LAST_CHANNELS;
  const net = layersFor(nameOf("mobilenet_v2", width, resolution, precision, chain ? "chain" : undefined), options, 2018);
  const activation = "relu6";
  let x = net.conv("conv", imageInput(net, resolution, options), { channels: scaled(STEM_CHANNELS), filter: [3, 3], stride: 2, activation });
  let number = 0;
  for (const [expansion, atWidthOne, blocks, first] of STAGES)
    for (let i = 0; i < blocks; i++) {
      const [name, stride, expanded] = [`block_${++number}`, i === 0 ? first : 1, x.shape[3]! * expansion];
      x = invertedResidual(net, x, { name, expanded, channels: scaled(atWidthOne), stride, activation, chain });
    }
  const y = net.classify(net.conv("last", x, { channels: last, activation }), classes);
  return net.build(y, `MobileNetV2${chain ? " as a chain" : ""}, width ${width}, ${resolution} × ${resolution} pixels.`);
}
