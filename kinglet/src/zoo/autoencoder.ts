import type { Graph } from "../graph/index.ts";
import type { NetworkOptions } from "./layers.ts";
import { TrainableLayers } from "./trainable-layers.ts";

export interface AutoencoderOptions extends Pick<NetworkOptions, "width" | "batch" | "seed"> {
  /** Numbers to compress and to give back; the default is 5 frames of 128 mel bands. */
  readonly inputs?: number;
}

/** Units of the hidden layers; the narrow one in the middle is what forces the network to learn what is usual. */
const HIDDEN = [128, 128, 128, 128, 8, 128, 128, 128, 128];

/** The dense autoencoder of MLPerf Tiny for strange sounds (Koizumi et al., arXiv 1908.03299): [n, inputs] to its reconstruction. */
export function autoencoder(options: AutoencoderOptions = {}): Graph {
  const { inputs = 640, width = 1, batch = 1 } = options;
  const net = new TrainableLayers("autoencoder", options);
  let x = net.input("features", [batch, inputs]);
  HIDDEN.forEach((units, i) => {
    x = net.dense(`dense_${i + 1}`, x, { units: Math.max(1, Math.round(units * width)), activation: "relu", normalize: true });
  });
  return net.build(net.dense("reconstruction", x, { units: inputs }), `An autoencoder of ${inputs} numbers.`);
}
