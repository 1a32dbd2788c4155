import { elementCount, type Shape } from "../../base/index.ts";
import type { WeightLayout, WeightTensor } from "./tensors.ts";

/** Names and shapes of a network's tensors, written down as its own code makes them: nothing here knows Kinglet's names. */
export class Listing {
  readonly tensors: WeightTensor[] = [];
  readonly layout: WeightLayout;

  constructor(layout: WeightLayout) {
    this.layout = layout;
  }

  add(name: string, shape: Shape): void {
    this.tensors.push({ name, dtype: "float32", shape, data: new Float32Array(elementCount(shape)).fill(this.tensors.length) });
  }

  /** Trainable elements: the number that is published. */
  get parameters(): number {
    return this.tensors.reduce((sum, { name, shape }) => sum + (/running_|moving_|num_batches/.test(name) ? 0 : elementCount(shape)), 0);
  }
}

/** Modules of PyTorch. */
class Torch extends Listing {
  constructor() {
    super("pytorch");
  }

  conv(name: string, from: number, to: number, kernel: number, { groups = 1, bias = false } = {}): void {
    this.add(`${name}.weight`, [to, from / groups, kernel, kernel]);
    if (bias) this.add(`${name}.bias`, [to]);
  }

  norm(name: string, channels: number): void {
    for (const variable of ["weight", "bias", "running_mean", "running_var"]) this.add(`${name}.${variable}`, [channels]);
    this.add(`${name}.num_batches_tracked`, []);
  }

  /** Conv2dNormActivation. */
  pair(name: string, from: number, to: number, kernel = 1, groups = 1): void {
    this.conv(`${name}.0`, from, to, kernel, { groups });
    this.norm(`${name}.1`, to);
  }

  linear(name: string, from: number, to: number): void {
    this.add(`${name}.weight`, [to, from]);
    this.add(`${name}.bias`, [to]);
  }

  squeeze(name: string, channels: number, squeezed: number): void {
    this.conv(`${name}.fc1`, channels, squeezed, 1, { bias: true });
    this.conv(`${name}.fc2`, squeezed, channels, 1, { bias: true });
  }
}

export function eights(channels: number): number {
  const near = Math.max(8, Math.floor((channels + 4) / 8) * 8);
  return near < 0.9 * channels ? near + 8 : near;
}

export const MOBILENET_V2_STAGES = [
  [1, 16, 1],
  [6, 24, 2],
  [6, 32, 3],
  [6, 64, 4],
  [6, 96, 3],
  [6, 160, 3],
  [6, 320, 1],
] as const;

export function torchMobileNetV2(): Torch {
  const net = new Torch();
  net.pair("features.0", 3, 32, 3);
  let [from, number] = [32, 0];
  for (const [times, to, blocks] of MOBILENET_V2_STAGES)
    for (let i = 0; i < blocks; i++) {
      const list = `features.${++number}.conv`;
      const wide = from * times;
      let at = 0;
      if (times !== 1) net.pair(`${list}.${at++}`, from, wide);
      net.pair(`${list}.${at++}`, wide, wide, 3, wide);
      net.conv(`${list}.${at++}`, wide, to, 1);
      net.norm(`${list}.${at}`, to);
      from = to;
    }
  net.pair(`features.${number + 1}`, from, 1280);
  net.linear("classifier.1", 1280, 1000);
  return net;
}

export type Row = readonly [kernel: number, wide: number, to: number, gate: 0 | 1];
export const SMALL: readonly Row[] = [
  [3, 16, 16, 1],
  [3, 72, 24, 0],
  [3, 88, 24, 0],
  [5, 96, 40, 1],
  [5, 240, 40, 1],
  [5, 240, 40, 1],
  [5, 120, 48, 1],
  [5, 144, 48, 1],
  [5, 288, 96, 1],
  [5, 576, 96, 1],
  [5, 576, 96, 1],
];
export const LARGE: readonly Row[] = [
  [3, 16, 16, 0],
  [3, 64, 24, 0],
  [3, 72, 24, 0],
  [5, 72, 40, 1],
  [5, 120, 40, 1],
  [5, 120, 40, 1],
  [3, 240, 80, 0],
  [3, 200, 80, 0],
  [3, 184, 80, 0],
  [3, 184, 80, 0],
  [3, 480, 112, 1],
  [3, 672, 112, 1],
  [5, 672, 160, 1],
  [5, 960, 160, 1],
  [5, 960, 160, 1],
];

export function torchMobileNetV3(rows: readonly Row[], features: number): Torch {
  const net = new Torch();
  net.pair("features.0", 3, 16, 3);
  let from = 16;
  rows.forEach(([kernel, wide, to, gate], i) => {
    const list = `features.${i + 1}.block`;
    let at = 0;
    if (wide !== from) net.pair(`${list}.${at++}`, from, wide);
    net.pair(`${list}.${at++}`, wide, wide, kernel, wide);
    if (gate === 1) net.squeeze(`${list}.${at++}`, wide, eights(Math.floor(wide / 4)));
    net.pair(`${list}.${at}`, wide, to);
    from = to;
  });
  net.pair(`features.${rows.length + 1}`, from, 6 * from);
  net.linear("classifier.0", 6 * from, features);
  net.linear("classifier.3", features, 1000);
  return net;
}

export const EFFICIENT_STAGES = [
  [1, 3, 16, 1],
  [6, 3, 24, 2],
  [6, 5, 40, 2],
  [6, 3, 80, 3],
  [6, 5, 112, 3],
  [6, 5, 192, 4],
  [6, 3, 320, 1],
] as const;

export function torchEfficientNet(width: number, depth: number): Torch {
  const net = new Torch();
  let from = eights(32 * width);
  net.pair("features.0", 3, from, 3);
  EFFICIENT_STAGES.forEach(([times, kernel, channels, layers], stage) => {
    for (let i = 0; i < Math.ceil(layers * depth); i++) {
      const list = `features.${stage + 1}.${i}.block`;
      const [to, wide] = [eights(channels * width), from * times];
      let at = 0;
      if (times !== 1) net.pair(`${list}.${at++}`, from, wide);
      net.pair(`${list}.${at++}`, wide, wide, kernel, wide);
      net.squeeze(`${list}.${at++}`, wide, Math.floor(from / 4));
      net.pair(`${list}.${at}`, wide, to);
      from = to;
    }
  });
  net.pair("features.8", from, 4 * from);
  net.linear("classifier.1", 4 * from, 1000);
  return net;
}

export function torchShuffleNetV2([c2, c3, c4, c5]: readonly [number, number, number, number]): Torch {
  const net = new Torch();
  net.pair("conv1", 3, 24, 3);
  let from = 24;
  for (const [stage, repeats, to] of [
    [2, 4, c2],
    [3, 8, c3],
    [4, 4, c4],
  ] as const) {
    for (let i = 0; i < repeats; i++) {
      const [unit, half, list] = [i === 0 ? from : to / 2, to / 2, `stage${stage}.${i}`];
      if (i === 0) {
        net.conv(`${list}.branch1.0`, from, from, 3, { groups: from });
        net.norm(`${list}.branch1.1`, from);
        net.conv(`${list}.branch1.2`, from, half, 1);
        net.norm(`${list}.branch1.3`, half);
      }
      net.conv(`${list}.branch2.0`, unit, half, 1);
      net.norm(`${list}.branch2.1`, half);
      net.conv(`${list}.branch2.3`, half, half, 3, { groups: half });
      net.norm(`${list}.branch2.4`, half);
      net.conv(`${list}.branch2.5`, half, half, 1);
      net.norm(`${list}.branch2.6`, half);
    }
    from = to;
  }
  net.pair("conv5", from, c5);
  net.linear("fc", c5, 1000);
  return net;
}
