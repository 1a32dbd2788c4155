import type { Graph } from "../graph/index.ts";
import { LayerWriter, type Signal } from "./layers.ts";
import type { MobileNetOptions } from "./mobilenet-v1.ts";

export interface MobileNetV2Options extends MobileNetOptions {
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

/** The nearest multiple of 8 that takes away at most a tenth, as the paper's own code has it. */
export function divisibleByEight(channels: number): number {
  const nearest = Math.max(8, Math.floor((channels + 4) / 8) * 8);
  return nearest < 0.9 * channels ? nearest + 8 : nearest;
}

interface Block {
  readonly name: string;
  readonly expansion: number;
  readonly channels: number;
  readonly stride: number;
}

/** Widen, filter each channel, narrow without an activation; a block that keeps its shape adds its input. */
function bottleneck(net: LayerWriter, x: Signal, { name, expansion, channels, stride }: Block, chain: boolean): Signal {
  const inC = x.value.shape[3]!;
  const wide = expansion === 1 && !chain ? x : net.conv(`${name}_expand`, x, inC * expansion, [1, 1], 1, "relu6");
  const narrow = net.conv(`${name}_project`, net.depthwise(`${name}_depthwise`, wide, stride, "relu6"), channels, [1, 1], 1, "none");
  return stride === 1 && channels === inC && !chain ? net.add(`${name}_add`, x, narrow) : narrow;
}

/** MobileNetV2 (Sandler et al., arXiv 1801.04381): image [1, r, r, 3] to probabilities [1, classes]. */
export function mobilenetV2({ width, resolution, precision, classes = 1000, variant = "paper" }: MobileNetV2Options): Graph {
  const chain = variant === "chain";
  const scaled = (atWidthOne: number): number => (chain ? Math.floor(atWidthOne * width) : divisibleByEight(atWidthOne * width));
  const last = chain || width > 1 ? scaled(LAST_CHANNELS) : LAST_CHANNELS;
  const net = new LayerWriter(`mobilenet_v2_${width}_${resolution}_${precision}${chain ? "_chain" : ""}`, precision, 2018);
  let x = net.conv("conv", net.input("image", [1, resolution, resolution, 3]), scaled(STEM_CHANNELS), [3, 3], 2, "relu6");
  let block = 0;
  for (const [expansion, atWidthOne, blocks, stride] of STAGES)
    for (let i = 0; i < blocks; i++)
      x = bottleneck(net, x, { name: `block_${++block}`, expansion, channels: scaled(atWidthOne), stride: i === 0 ? stride : 1 }, chain);
  const y = net.classify(net.conv("last", x, last, [1, 1], 1, "relu6"), classes);
  return net.build(y, `MobileNetV2${chain ? " as a chain" : ""}, width ${width}, ${resolution} × ${resolution} pixels.`);
}
