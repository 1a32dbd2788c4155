import type { Graph } from "../graph/index.ts";
import type { NetworkOptions } from "./layers.ts";
import { TrainableLayers } from "./trainable-layers.ts";

export interface MlpOptions extends Omit<NetworkOptions, "resolution" | "inputChannels"> {
  /** The default is 784, a 28 × 28 picture. */
  readonly inputs?: number;
  /** Units of the hidden layers; the default is one of 128. */
  readonly hidden?: readonly number[];
}

/** Dense layers with ReLU between them: [n, inputs] to [n, classes]. */
export function mlp(options: MlpOptions = {}): Graph {
  const { inputs = 784, hidden = [128], classes = 10, width = 1, batch = 1 } = options;
  const net = new TrainableLayers("mlp", options);
  let x = net.input("features", [batch, inputs]);
  hidden.forEach((units, i) => {
    x = net.dense(`dense_${i + 1}`, x, { units: Math.max(1, Math.round(units * width)), activation: "relu" });
  });
  return net.build(net.logits(x, classes), `Dense layers, ${[inputs, ...hidden, classes].join("-")}.`);
}
