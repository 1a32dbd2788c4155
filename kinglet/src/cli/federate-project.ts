import { type FederationPlan, networkForDevices } from "../federated/index.ts";
import type { Graph } from "../graph/index.ts";
import { loadConfig, type ProjectConfig, projectSplit, readStartWeights, startingNetwork } from "../project/index.ts";
import type { LearningOptions } from "./federate-learning.ts";
import type { Project } from "./project-step.ts";

/** What a federation begins with. */
export type Start = Pick<FederationPlan, "network" | "augmentation" | "seed">;

/** A project's configuration, with another seed where one is given. */
export async function configOf(folder: string, { seed }: Pick<LearningOptions, "seed">): Promise<ProjectConfig> {
  return { ...(await loadConfig(folder)), ...(seed === undefined ? {} : { seed }) };
}

/** A project's own network, before anything is learned. */
export async function networkOf({ folder, config, dataset }: Project): Promise<Graph> {
  return await startingNetwork(config, dataset, projectSplit(config, dataset).train, await readStartWeights(folder, config));
}

/** Where microcontrollers take part, all clients learn what those can. */
export function startOf(network: Graph, { augmentation, seed }: ProjectConfig, devices: boolean): Start {
  return devices ? { network: networkForDevices(network), augmentation: {}, seed } : { network, augmentation: { ...augmentation }, seed };
}
