// The package's door for a page: everything that needs no files and no processes. Samples come as typed arrays, results are bytes.
export * from "./base/index.ts";
export {
  type Augment,
  Dataset,
  datasetFromArrays,
  measureNormalization,
  type Normalization,
  normalize,
  type SamplesInMemory,
  type Split,
  type SplitOptions,
  splitDataset,
} from "./data/browser.ts";
export {
  calibrate,
  type CalibrateOptions,
  type Compiled,
  compileGraph,
  type CompileOptions,
  diagnose,
  outputQuality,
  quantizeNetwork,
  type QuantizeNetworkOptions,
  type Sample,
} from "./driver/browser.ts";
export {
  KERAS_APPLICATIONS,
  loadWeights,
  readKinglet,
  readModel,
  readNpy,
  readWeights,
  TORCHVISION,
  writeKinglet,
  writeNpy,
} from "./formats/index.ts";
export { checkGraph, type Graph, GraphBuilder, joinGraphs, printGraph } from "./graph/index.ts";
export { trainableParametersOf } from "./ops/index.ts";
export { prepareForQuantization, pruneChannels, quantizeGraph, withBatch } from "./passes/index.ts";
export * from "./signal/index.ts";
export { packageWasm } from "./targets/wasm/index.ts";
export {
  type Classifier,
  type ClassifierOptions,
  type Evaluation,
  evaluateOn,
  fit,
  type FitOptions,
  type Optimizer,
  type RateSchedule,
  trainClassifier,
  TrainingSession,
} from "./train/browser.ts";
export * from "./zoo/index.ts";
