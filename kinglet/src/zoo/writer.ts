import { DeployedLayers } from "./deployed-layers.ts";
import { checkOptions, type DeployableOptions, type Layers } from "./layers.ts";
import { TrainableLayers } from "./trainable-layers.ts";

/** The writer for the form that was asked for; `seed` is the family's own. */
export function layersFor(name: string, options: DeployableOptions, seed: number): Layers {
  checkOptions(options);
  const { precision } = options;
  return precision === undefined
    ? new TrainableLayers(name, { ...options, seed: options.seed ?? seed })
    : new DeployedLayers(name, precision, { seed: options.seed ?? seed, probabilities: options.probabilities });
}
