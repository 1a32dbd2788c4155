import type { Value } from "../graph/index.ts";
import type { NetworkOptions } from "./layers.ts";
import type { TrainableLayers } from "./trainable-layers.ts";

/** What networks that go through a sequence step by step can be asked for. */
export interface RecurrentOptions extends Omit<NetworkOptions, "resolution"> {
  /** Steps of a sequence; the network has a copy of the cell for each. The default is 32. */
  readonly length?: number;
  /** Numbers that go from one step to the next; the default is 16. */
  readonly units?: number;
}

export interface RecurrentSizes {
  readonly length: number;
  readonly units: number;
  readonly classes: number;
  /** [batch, length, features] */
  readonly inputShape: readonly [number, number, number];
}

export function recurrentSizes(options: RecurrentOptions): RecurrentSizes {
  const { length = 32, inputChannels = 3, units = 16, width = 1, classes = 4, batch = 1 } = options;
  return { length, units: Math.max(1, Math.round(units * width)), classes, inputShape: [batch, length, inputChannels] };
}

/** Weights from something to all gates of a cell, [gates · units, fanIn]. */
export function gateWeights(net: TrainableLayers, name: string, gates: number, fanIn: number, units: number): Value {
  return net.bell(`${name}_weights`, [gates * units, fanIn], 1 / fanIn);
}
