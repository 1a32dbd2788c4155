export { readMlpackage } from "./coreml.ts";
export { loadWeights, type LoadWeightsOptions } from "./load.ts";
export type { WeightNames } from "./match.ts";
export { KERAS_APPLICATIONS } from "./names-keras.ts";
export { TORCHVISION } from "./names-torchvision.ts";
export { isWeights, readWeights } from "./read.ts";
export type { WeightLayout, Weights, WeightTensor } from "./tensors.ts";
