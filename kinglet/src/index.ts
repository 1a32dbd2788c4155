export * from "./base/index.ts";
export { BOARDS, type Board, boardById, boardsThatFit, toolReport } from "./boards/index.ts";
export {
  type Artefact,
  type ArtefactOptions,
  type Compiled,
  type CompileOptions,
  type Diagnosis,
  calibrate,
  type CalibrateOptions,
  compileGraph,
  diagnose,
  type Execution,
  execute,
  type Inspection,
  type LayerReport,
  inspectGraph,
  makeArtefact,
  outputQuality,
  type OutputQuality,
  quantizeNetwork,
  type QuantizeNetworkOptions,
  type Remedy,
  type RemedyReport,
  type Sample,
  type Verification,
  type Via,
  verifyGraph,
  writeOutputFolder,
} from "./driver/index.ts";
export { type NpyArray, readKinglet, readModel, readNpy, writeKinglet, writeNpy } from "./formats/index.ts";
export {
  checkGraph,
  type Graph,
  GraphBuilder,
  joinGraphs,
  type Node,
  printGraph,
  type Quantization,
  type Value,
  type ValueType,
} from "./graph/index.ts";
export { parameterValues, trainableParametersOf } from "./ops/index.ts";
export {
  absorbBias,
  type CalibrationMethod,
  equalize,
  prepareForQuantization,
  quantizeDynamic,
  type QuantizedModel,
  quantizeGraph,
  type QuantizeOptions,
  type Range,
  roundToFloat16,
} from "./passes/index.ts";
export { type ChannelCriterion, pruneChannels, type Pruned, type PruneOptions, type RemovedChannels, withBatch } from "./passes/index.ts";
export { renderReport, type ReportData, reportData } from "./report/index.ts";
export {
  type Classifier,
  type ClassifierOptions,
  cubicSparsity,
  type Distillation,
  fit,
  type FitOptions,
  type FitResult,
  type Sparsity,
  trainClassifier,
  zerosOf,
} from "./train/index.ts";
export {
  autoencoder,
  cnn1d,
  dsCnn,
  efficientnet,
  gru,
  mcunet,
  mlp,
  mobilenetV1,
  mobilenetV2,
  mobilenetV3,
  NETWORKS,
  type NetworkName,
  type NetworkOptions,
  resnet8,
  shufflenetV1,
  shufflenetV2,
} from "./zoo/index.ts";
export * from "./signal/index.ts";
