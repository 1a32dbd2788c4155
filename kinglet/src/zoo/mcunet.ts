import type { Graph } from "../graph/index.ts";
import { invertedResidual } from "./blocks.ts";
import { imageInput, type NetworkOptions } from "./layers.ts";
import { TrainableLayers } from "./trainable-layers.ts";

/** The image a network was searched for, channels of its first convolution, and "expansion,channels,stride,kernel" of its blocks. */
interface Variant {
  readonly resolution: number;
  readonly stem: number;
  readonly blocks: string;
}

/** Five results of the search, for 256 kB to 512 kB of RAM. */
const VARIANTS = {
  in0: {
    resolution: 48,
    stem: 24,
    blocks:
      "1,16,1,3 4,16,2,5 3,16,1,3 4,16,1,3 5,24,2,7 4,24,1,5 5,24,1,5 5,48,2,7 4,48,1,5 5,56,1,3 4,56,1,5 5,56,1,3 6,112,2,3 4,112,1,5 6,192,1,3",
  },
  in1: {
    resolution: 96,
    stem: 16,
    blocks: "1,8,1,3 4,16,2,3 3,16,1,3 3,24,2,7 5,24,1,3 5,40,2,3 4,40,1,7 4,48,1,5 3,48,1,3 4,48,1,3 5,96,2,7 4,96,1,5 4,96,1,5 6,160,1,3",
  },
  in2: {
    resolution: 160,
    stem: 16,
    blocks:
      "1,8,1,3 3,16,2,5 6,16,1,7 5,16,1,3 5,16,1,5 5,24,2,3 6,24,1,7 6,24,1,5 4,40,2,7 5,40,1,5 5,48,1,3 5,48,1,5 4,48,1,3 6,96,2,5 4,96,1,5 3,96,1,5 4,96,1,3 5,160,1,5",
  },
  in3: {
    resolution: 176,
    stem: 16,
    blocks:
      "1,8,1,3 3,16,2,7 5,16,1,3 5,16,1,7 4,16,1,5 5,24,2,5 5,24,1,5 5,24,1,5 5,40,2,3 6,40,1,7 4,40,1,5 5,48,1,5 5,48,1,7 5,48,1,3 6,96,2,3 5,96,1,7 4,96,1,3 5,160,1,7",
  },
  in4: {
    resolution: 160,
    stem: 32,
    blocks:
      "1,16,1,3 3,24,2,7 5,24,1,3 4,24,1,5 5,40,2,7 4,40,1,3 4,40,1,7 3,80,2,7 3,80,1,3 3,80,1,7 4,96,1,3 3,96,1,5 3,96,1,5 4,192,2,7 3,192,1,7 3,192,1,5 4,320,1,5",
  },
} as const satisfies Readonly<Record<string, Variant>>;

export interface McuNetOptions extends NetworkOptions {
  /** The default is `in0`. */
  readonly variant?: keyof typeof VARIANTS;
}

/** MCUNet (Lin et al., arXiv 2007.10319), networks found by TinyNAS: image [n, r, r, 3] to [n, classes]. */
export function mcunet(options: McuNetOptions = {}): Graph {
  const { variant = "in0", width = 1, classes = 1000 } = options;
  const { resolution: usual, stem, blocks }: Variant = VARIANTS[variant];
  const { resolution = usual } = options;
  const scaled = (channels: number): number => Math.max(1, Math.round(channels * width));
  const net = new TrainableLayers(`mcunet_${variant}`, options);
  const activation = "relu6";
  let x = net.conv("conv", imageInput(net, resolution, options), { channels: scaled(stem), filter: [3, 3], stride: 2, activation });
  blocks.split(" ").forEach((text, i) => {
    const [expansion, channels, stride, kernel] = text.split(",").map(Number) as [number, number, number, number];
    const expanded = x.shape[3]! * expansion;
    x = invertedResidual(net, x, { name: `block_${i + 1}`, expanded, channels: scaled(channels), filter: [kernel, kernel], stride, activation });
  });
  return net.build(net.classify(x, classes), `MCUNet-${variant}, ${resolution} × ${resolution} pixels.`);
}
