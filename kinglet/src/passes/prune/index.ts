export { pruneChannels, type Pruned, type PruneOptions, type RemovedChannels } from "./prune.ts";
export type { ChannelCriterion } from "./sets.ts";
