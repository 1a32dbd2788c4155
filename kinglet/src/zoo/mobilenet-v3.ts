import type { Graph } from "../graph/index.ts";
import { invertedResidual, squeezeExcite } from "./blocks.ts";
import { divisibleByEight, imageInput, type NetworkOptions } from "./layers.ts";
import { TrainableLayers } from "./trainable-layers.ts";

type Row = readonly [
  kernel: number,
  expanded: number,
  channels: number,
  squeeze: "squeeze" | "plain",
  activation: "relu" | "hardSwish",
  stride: number,
];

interface Variant {
  readonly rows: readonly Row[];
  /** Units of the layer between the average and the logits. */
  readonly features: number;
}

const VARIANTS = {
  large: {
    features: 1280,
    rows: [
      [3, 16, 16, "plain", "relu", 1],
      [3, 64, 24, "plain", "relu", 2],
      [3, 72, 24, "plain", "relu", 1],
      [5, 72, 40, "squeeze", "relu", 2],
      [5, 120, 40, "squeeze", "relu", 1],
      [5, 120, 40, "squeeze", "relu", 1],
      [3, 240, 80, "plain", "hardSwish", 2],
      [3, 200, 80, "plain", "hardSwish", 1],
      [3, 184, 80, "plain", "hardSwish", 1],
      [3, 184, 80, "plain", "hardSwish", 1],
      [3, 480, 112, "squeeze", "hardSwish", 1],
      [3, 672, 112, "squeeze", "hardSwish", 1],
      [5, 672, 160, "squeeze", "hardSwish", 2],
      [5, 960, 160, "squeeze", "hardSwish", 1],
      [5, 960, 160, "squeeze", "hardSwish", 1],
    ],
  },
  small: {
    features: 1024,
    rows: [
      [3, 16, 16, "squeeze", "relu", 2],
      [3, 72, 24, "plain", "relu", 2],
      [3, 88, 24, "plain", "relu", 1],
      [5, 96, 40, "squeeze", "hardSwish", 2],
      [5, 240, 40, "squeeze", "hardSwish", 1],
      [5, 240, 40, "squeeze", "hardSwish", 1],
      [5, 120, 48, "squeeze", "hardSwish", 1],
      [5, 144, 48, "squeeze", "hardSwish", 1],
      [5, 288, 96, "squeeze", "hardSwish", 2],
      [5, 576, 96, "squeeze", "hardSwish", 1],
      [5, 576, 96, "squeeze", "hardSwish", 1],
    ],
  },
} as const satisfies Readonly<Record<string, Variant>>;

/** The last convolution has six times the channels of the last block. */
const LAST_EXPANSION = 6;

export interface MobileNetV3Options extends NetworkOptions {
  /** The default is `small`. */
  readonly variant?: keyof typeof VARIANTS;
}

/** MobileNetV3 (Howard et al., arXiv 1905.02244): image [n, r, r, 3] to [n, classes]. */
export function mobilenetV3(options: MobileNetV3Options = {}): Graph {
  const { width = 1, resolution = 224, classes = 1000, variant = "small" } = options;
  const { rows, features }: Variant = VARIANTS[variant];
  const scaled = (atWidthOne: number): number => divisibleByEight(atWidthOne * width);
  const net = new TrainableLayers(`mobilenet_v3_${variant}`, options);
  let x = net.conv("conv", imageInput(net, resolution, options), { channels: scaled(16), filter: [3, 3], stride: 2, activation: "hardSwish" });
  rows.forEach(([kernel, atWidthOne, channels, squeeze, activation, stride], i) => {
    const [name, expanded] = [`block_${i + 1}`, scaled(atWidthOne)];
    const excite = { squeezed: divisibleByEight(Math.floor(expanded / 4)), activation: "relu", gate: "hardSigmoid" } as const;
    const gate = squeeze === "squeeze" ? (wide: typeof x) => squeezeExcite(net, name, wide, excite) : undefined;
    x = invertedResidual(net, x, { name, expanded, channels: scaled(channels), filter: [kernel, kernel], stride, activation, gate });
  });
  x = net.average("average", net.conv("last", x, { channels: LAST_EXPANSION * x.shape[3]!, activation: "hardSwish" }));
  x = net.dense("features", x, { units: scaled(features), activation: "hardSwish" });
  return net.build(net.logits(x, classes), `MobileNetV3-${variant}, width ${width}, ${resolution} × ${resolution} pixels.`);
}
