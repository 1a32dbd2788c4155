import type { Graph } from "../graph/index.ts";
import { type DeployableOptions, type Filter, nameOf, type Precision } from "./layers.ts";
import { layersFor } from "./writer.ts";

/** Rows and columns of what a network is meant for, its first convolution, and its depthwise separable blocks. */
interface Shape {
  readonly size: readonly [rows: number, columns: number];
  readonly classes: number;
  readonly stem: { readonly channels: number; readonly filter: Filter; readonly stride: number };
  readonly blocks: readonly (readonly [channels: number, stride: number])[];
}

const DIGITS = { size: [28, 28], classes: 10 } as const;

const VARIANTS = {
  /** MLPerf Tiny's: 49 frames of 10 features to ten words, silence, unknown. */
  keyword: {
    size: [49, 10],
    classes: 12,
    stem: { channels: 64, filter: [10, 4], stride: 2 },
    blocks: [1, 2, 3, 4].map(() => [64, 1] as const),
  },
  /** Under 20,000 parameters. */
  digits: {
    ...DIGITS,
    stem: { channels: 16, filter: [3, 3], stride: 1 },
    blocks: [
      [32, 2],
      [64, 1],
      [64, 2],
      [96, 1],
    ],
  },
  /** Under 60,000 parameters. */
  digits_large: {
    ...DIGITS,
    stem: { channels: 32, filter: [3, 3], stride: 1 },
    blocks: [
      [64, 2],
      [96, 1],
      [96, 1],
      [128, 2],
      [128, 1],
    ],
  },
} as const satisfies Readonly<Record<string, Shape>>;

export interface DsCnnOptions extends Omit<DeployableOptions, "resolution"> {
  readonly variant?: keyof typeof VARIANTS;
  /** Rows and columns of the input: any, since the last map is averaged. The default is the variant's. */
  readonly size?: readonly [rows: number, columns: number];
}

/** The deployed keyword network has the name that benchmarks know it by. */
function nameFor(variant: keyof typeof VARIANTS, precision: Precision | undefined): string {
  if (variant !== "keyword" || precision === undefined) return nameOf("ds_cnn", variant, precision);
  return precision === "int8" ? "keyword_spotter" : "keyword_spotter_float";
}

/**
 * The depthwise separable network for small maps (Zhang et al., "Hello Edge", arXiv 1711.07128): features [n, rows, columns, 1]
 * to [n, classes].
 */
export function dsCnn(options: DsCnnOptions = {}): Graph {
  const { variant = "keyword", width = 1, batch = 1, inputChannels = 1, precision } = options;
  const shape: Shape = VARIANTS[variant];
  const { size = shape.size, classes = shape.classes } = options;
  const scaled = (channels: number): number => Math.max(1, Math.round(channels * width));
  const net = layersFor(nameFor(variant, precision), options, 2017);
  const { stem, blocks } = shape;
  let x = net.conv("conv", net.input("features", [batch, ...size, inputChannels]), { ...stem, channels: scaled(stem.channels), activation: "relu" });
  blocks.forEach(([channels, stride], i) => {
    x = net.depthwise(`depthwise_${i + 1}`, x, { stride, activation: "relu" });
    x = net.conv(`pointwise_${i + 1}`, x, { channels: scaled(channels), activation: "relu" });
  });
  return net.build(net.classify(x, classes), variant === "keyword" ? "A keyword spotter of the DS-CNN shape." : "A DS-CNN for digits.");
}
