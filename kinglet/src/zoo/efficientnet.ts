import type { Graph, Value } from "../graph/index.ts";
import { invertedResidual, type SqueezeExcite, squeezeExcite } from "./blocks.ts";
import { divisibleByEight, imageInput, type NetworkOptions } from "./layers.ts";
import { TrainableLayers } from "./trainable-layers.ts";

/** Expansion, kernel, channels, blocks, and stride of the first of them; at width and depth 1. */
const STAGES: readonly (readonly [expansion: number, kernel: number, channels: number, blocks: number, stride: number])[] = [
  [1, 3, 16, 1, 1],
  [6, 3, 24, 2, 2],
  [6, 5, 40, 2, 2],
  [6, 3, 80, 3, 2],
  [6, 5, 112, 3, 1],
  [6, 5, 192, 4, 2],
  [6, 3, 320, 1, 1],
];
const STEM_CHANNELS = 32;
const HEAD_CHANNELS = 1280;

/** How much each variant multiplies of the base network, and the image it is meant for. Lite is made for integers. */
interface Variant {
  readonly width: number;
  readonly depth: number;
  readonly resolution: number;
  /** No gates, ReLU6; stem and head keep their width, the first and the last stage their depth. */
  readonly lite: boolean;
}

const VARIANTS = {
  b0: { width: 1, depth: 1, resolution: 224, lite: false },
  b1: { width: 1, depth: 1.1, resolution: 240, lite: false },
  b2: { width: 1.1, depth: 1.2, resolution: 260, lite: false },
  lite0: { width: 1, depth: 1, resolution: 224, lite: true },
  lite1: { width: 1, depth: 1.1, resolution: 240, lite: true },
  lite2: { width: 1.1, depth: 1.2, resolution: 260, lite: true },
} as const satisfies Readonly<Record<string, Variant>>;

export interface EfficientNetOptions extends NetworkOptions {
  /** The default is `b0`. */
  readonly variant?: keyof typeof VARIANTS;
}

/** The gate's bottleneck is a quarter of the block's input, not of its wide map. */
function excite(inC: number): SqueezeExcite {
  return { squeezed: Math.max(1, Math.floor(inC / 4)), activation: "swish", gate: "logistic" };
}

/** Blocks of a stage in a variant. */
function blocksOf(stage: number, blocks: number, { depth, lite }: Variant): number {
  return lite && (stage === 0 || stage === STAGES.length - 1) ? blocks : Math.ceil(blocks * depth);
}

/**
 * EfficientNet (Tan and Le, arXiv 1905.11946) and its Lite form: image [n, r, r, 3] to [n, classes]. `width` multiplies the
 * variant's own.
 */
export function efficientnet(options: EfficientNetOptions = {}): Graph {
  const { variant: name = "b0", width = 1, classes = 1000 } = options;
  const variant: Variant = VARIANTS[name];
  const { lite, resolution: usual } = variant;
  const { resolution = usual } = options;
  const scaled = (channels: number): number => divisibleByEight(channels * variant.width * width);
  const ends = (channels: number): number => (lite ? divisibleByEight(channels * width) : scaled(channels));
  const activation = lite ? "relu6" : "swish";
  const net = new TrainableLayers(`efficientnet_${name}`, options);
  let x = net.conv("conv", imageInput(net, resolution, options), { channels: ends(STEM_CHANNELS), filter: [3, 3], stride: 2, activation });
  let number = 0;
  STAGES.forEach(([expansion, kernel, channels, blocks, first], stage) => {
    for (let i = 0; i < blocksOf(stage, blocks, variant); i++) {
      const [block, inC] = [`block_${++number}`, x.shape[3]!];
      const gate = lite ? undefined : (wide: Value): Value => squeezeExcite(net, block, wide, excite(inC));
      const moves = { filter: [kernel, kernel], stride: i === 0 ? first : 1 } as const;
      x = invertedResidual(net, x, { name: block, expanded: inC * expansion, channels: scaled(channels), ...moves, activation, gate });
    }
  });
  const y = net.classify(net.conv("last", x, { channels: ends(HEAD_CHANNELS), activation }), classes);
  return net.build(y, `EfficientNet-${name}, ${resolution} × ${resolution} pixels.`);
}
