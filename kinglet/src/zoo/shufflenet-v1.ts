import type { Graph, Value } from "../graph/index.ts";
import { channelShuffle } from "./blocks.ts";
import { imageInput, type NetworkOptions } from "./layers.ts";
import { TrainableLayers } from "./trainable-layers.ts";

type Groups = 1 | 2 | 3 | 4 | 8;

/** Channels of the first stage at width 1: more groups allow more of them for the same work. Each stage doubles them. */
const CHANNELS: Readonly<Record<Groups, number>> = { 1: 144, 2: 200, 3: 240, 4: 272, 8: 384 };
const UNITS = [4, 8, 4];

export interface ShuffleNetV1Options extends NetworkOptions {
  /** Of the pointwise convolutions; the default is 3. */
  readonly groups?: Groups;
}

interface Unit {
  readonly name: string;
  readonly channels: number;
  readonly groups: number;
  readonly stride: number;
  /** The stem's map has too few channels to be cut into groups. */
  readonly first: boolean;
}

/** The stem grows with the network in the authors' code, and eight groups need a multiple of 8. */
function stemChannels(width: number, groups: Groups): number {
  if (width >= 2) return 48;
  return width >= 1 ? 24 : groups === 8 ? 16 : 12;
}

/**
 * A bottleneck of grouped pointwise layers with a shuffle between them; the input is added or, where the map shrinks, joined as
 * its average.
 */
function unit(net: TrainableLayers, x: Value, { name, channels, groups, stride, first }: Unit): Value {
  const inner = net.conv(`${name}_reduce`, x, { channels: channels / 4, groups: first ? 1 : groups, activation: "relu" });
  const shuffled = groups === 1 ? inner : channelShuffle(net, `${name}_shuffle`, inner, groups);
  const filtered = net.depthwise(`${name}_depthwise`, shuffled, { stride });
  const own = stride === 1 ? channels : channels - x.shape[3]!;
  const outer = net.conv(`${name}_expand`, filtered, { channels: own, groups });
  if (stride === 1) return net.add(`${name}_add`, x, outer, "relu");
  const around = net.pool(`${name}_pool`, x, "averagePool2d", [3, 3], stride);
  return net.apply("relu", `${name}_relu`, [net.apply("concatenation", `${name}_joined`, [around, outer], { axis: 3 })]);
}

/** ShuffleNetV1 (Zhang et al., arXiv 1707.01083): image [n, r, r, 3] to [n, classes]. */
export function shufflenetV1(options: ShuffleNetV1Options = {}): Graph {
  const { width = 1, resolution = 224, classes = 1000, groups = 3 } = options;
  const net = new TrainableLayers(`shufflenet_v1_g${groups}`, options);
  const stem = { channels: stemChannels(width, groups), filter: [3, 3], stride: 2, activation: "relu" } as const;
  let x = net.pool("pool", net.conv("conv", imageInput(net, resolution, options), stem), "maxPool2d", [3, 3], 2);
  // A quarter of the channels must still divide into the groups.
  const quantum = 4 * groups;
  const base = quantum * Math.max(1, Math.round((CHANNELS[groups] * width) / quantum));
  UNITS.forEach((count, stage) => {
    for (let i = 0; i < count; i++) {
      const name = `stage_${stage + 2}_unit_${i + 1}`;
      x = unit(net, x, { name, channels: base * 2 ** stage, groups, stride: i === 0 ? 2 : 1, first: stage === 0 && i === 0 });
    }
  });
  const y = net.logits(net.average("average", x), classes, { bias: false });
  return net.build(y, `ShuffleNetV1, ${groups} groups, width ${width}, ${resolution} × ${resolution} pixels.`);
}
