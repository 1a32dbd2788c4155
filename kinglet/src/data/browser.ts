// What of this room needs no files, and so works in a page, too.
export * from "./augment/index.ts";
export { type Batch, batchCount, type BatchOptions, batches, epochOrder } from "./batches.ts";
export { Dataset, datasetFromArrays, type SamplesInMemory, type SampleStore, withSamples } from "./dataset.ts";
export type { ChannelRange, DatasetInfo, SourceInfo } from "./manifest.ts";
export { fixedNormalization, measureNormalization, type Normalization, normalize } from "./normalize.ts";
export { type PictureSize, resizePicture } from "./pictures.ts";
export type { SampleArray, SampleDType } from "./readers/index.ts";
export type { SampleIndex } from "./sample-index.ts";
export { exp as portableExp, log as portableLog } from "./portable-math.ts";
export { gaussian, randomAt, shuffle, unit } from "./seed.ts";
export { type Fold, kFolds, leaveOneGroupOut, type Split, type SplitOptions, splitDataset } from "./split.ts";
export { type DatasetSummary, summarizeDataset } from "./summary.ts";
