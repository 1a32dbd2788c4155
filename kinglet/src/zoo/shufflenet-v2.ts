import { KingletError } from "../base/index.ts";
import type { Graph, Value } from "../graph/index.ts";
import { channelShuffle } from "./blocks.ts";
import { imageInput, type NetworkOptions } from "./layers.ts";
import { TrainableLayers } from "./trainable-layers.ts";

/** Channels of the three stages and of the last convolution, by width: the paper has no rule for others. */
const CHANNELS: ReadonlyMap<number, readonly number[]> = new Map([
  [0.5, [48, 96, 192, 1024]],
  [1, [116, 232, 464, 1024]],
  [1.5, [176, 352, 704, 1024]],
  [2, [244, 488, 976, 2048]],
]);
const UNITS = [4, 8, 4];
const STEM_CHANNELS = 24;

/** Pointwise, depthwise, pointwise: what either unit does to the right branch. */
function rightBranch(net: TrainableLayers, name: string, x: Value, channels: number, stride: number): Value {
  const inner = net.conv(`${name}_in`, x, { channels, activation: "relu" });
  return net.conv(`${name}_out`, net.depthwise(`${name}_depthwise`, inner, { stride }), { channels, activation: "relu" });
}

/** One half of the channels goes through, the other is computed; where the map shrinks both are, from all channels. */
function unit(net: TrainableLayers, name: string, x: Value, channels: number, stride: number): Value {
  const half = channels / 2;
  const join = (left: Value, right: Value): Value =>
    channelShuffle(net, `${name}_shuffle`, net.apply("concatenation", `${name}_joined`, [left, right], { axis: 3 }), 2);
  if (stride === 1) {
    const [left, right] = net.applyAll("split", `${name}_split`, [x], { axis: 3, sizes: [half, half] }) as [Value, Value];
    return join(left, rightBranch(net, name, right, half, 1));
  }
  const left = net.conv(`${name}_left`, net.depthwise(`${name}_left_depthwise`, x, { stride }), { channels: half, activation: "relu" });
  return join(left, rightBranch(net, name, x, half, stride));
}

/**
 * ShuffleNetV2 (Ma et al., arXiv 1807.11164): image [n, r, r, 3] to [n, classes].
 * @throws KingletError `misuse` for a width other than 0.5, 1, 1.5 and 2.
 */
export function shufflenetV2(options: NetworkOptions = {}): Graph {
  const { width = 1, resolution = 224, classes = 1000 } = options;
  const channels = CHANNELS.get(width);
  if (channels === undefined) throw new KingletError("misuse", `ShuffleNetV2 has no width ${width}`, { hint: "use 0.5, 1, 1.5 or 2" });
  const net = new TrainableLayers(`shufflenet_v2_${width}`, options);
  const stem = { channels: STEM_CHANNELS, filter: [3, 3], stride: 2, activation: "relu" } as const;
  let x = net.pool("pool", net.conv("conv", imageInput(net, resolution, options), stem), "maxPool2d", [3, 3], 2);
  UNITS.forEach((count, stage) => {
    for (let i = 0; i < count; i++) x = unit(net, `stage_${stage + 2}_unit_${i + 1}`, x, channels[stage]!, i === 0 ? 2 : 1);
  });
  const y = net.classify(net.conv("last", x, { channels: channels[UNITS.length]!, activation: "relu" }), classes);
  return net.build(y, `ShuffleNetV2, width ${width}, ${resolution} × ${resolution} pixels.`);
}
