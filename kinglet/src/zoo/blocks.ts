import type { Value } from "../graph/index.ts";
import type { DepthwiseSpec, Layers, MapShape } from "./layers.ts";
import type { TrainableLayers } from "./trainable-layers.ts";

/** relu6(x + 3) / 6. */
function hardSigmoid(net: TrainableLayers, name: string, x: Value): Value {
  const shifted = net.apply("add", `${name}_shifted`, [x, net.scalar("three", 3)], { activation: "relu6" });
  return net.apply("mul", name, [shifted, net.scalar("sixth", 1 / 6)], { activation: "none" });
}

export interface SqueezeExcite {
  /** Channels between the two layers. */
  readonly squeezed: number;
  readonly activation: "relu" | "swish";
  readonly gate: "hardSigmoid" | "logistic";
}

/** Scales each channel by a gate that follows from the averages of all channels (Hu et al., arXiv 1709.01507). */
export function squeezeExcite(net: TrainableLayers, name: string, x: Value, { squeezed, activation, gate }: SqueezeExcite): Value {
  const small = net.conv(`${name}_squeeze`, net.average(`${name}_average`, x), { channels: squeezed, activation, normalize: false });
  const wide = net.conv(`${name}_excite`, small, { channels: x.shape[3]!, normalize: false });
  const gates = gate === "logistic" ? net.apply("logistic", `${name}_gate`, [wide]) : hardSigmoid(net, `${name}_gate`, wide);
  return net.apply("mul", `${name}_scaled`, [x, gates], { activation: "none" });
}

/** Deals the channels of `groups` neighbouring groups out in turn, so that the next layer's groups see all of them. */
export function channelShuffle(net: TrainableLayers, name: string, x: Value, groups: number): Value {
  const [n, h, w, channels] = x.shape as MapShape;
  const grouped = net.apply("reshape", `${name}_grouped`, [x], { shape: [n * h * w, groups, channels / groups] });
  const dealt = net.apply("transpose", `${name}_dealt`, [grouped], { permutation: [0, 2, 1] });
  return net.apply("reshape", name, [dealt], { shape: [n, h, w, channels] });
}

export interface InvertedResidual<Activation extends string> extends DepthwiseSpec<Activation> {
  readonly name: string;
  /** Channels of the wide map; those of the input need no layer to get there. */
  readonly expanded: number;
  readonly channels: number;
  /** What happens to the wide map between its two narrower neighbours, beside the depthwise layer. */
  readonly gate?: ((wide: Value) => Value) | undefined;
  /** Without sums, and widening also where nothing gets wider. */
  readonly chain?: boolean;
}

/** Widen, filter each channel, narrow without an activation; a block that keeps its shape adds its input (arXiv 1801.04381). */
export function invertedResidual<A extends string>(net: Layers<A>, x: Value, block: InvertedResidual<A>): Value {
  const { name, expanded, channels, filter = [3, 3], stride = 1, activation, gate, chain = false } = block;
  const inC = x.shape[3]!;
  const acting = activation === undefined ? {} : { activation };
  const wide = expanded === inC && !chain ? x : net.conv(`${name}_expand`, x, { channels: expanded, ...acting });
  const filtered = net.depthwise(`${name}_depthwise`, wide, { filter, stride, ...acting });
  const narrow = net.conv(`${name}_project`, gate === undefined ? filtered : gate(filtered), { channels });
  return stride === 1 && channels === inC && !chain ? net.add(`${name}_add`, x, narrow) : narrow;
}
