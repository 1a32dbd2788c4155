export { coordinatorUrl, refusalOf } from "./api.ts";
export { fileStore, join, joinForDevice, type NodeJoinOptions } from "./node.ts";
export type { NodeSamples } from "./node-samples.ts";
