// What of this room needs no files, and so works in a page, too.
export * from "./average.ts";
export * from "./aware.ts";
export * from "./evaluate.ts";
export * from "./fit.ts";
export * from "./optimizer.ts";
export * from "./schedule.ts";
export * from "./session.ts";
export * from "./step.ts";
export * from "./classifier.ts";
export * from "./distill.ts";
export * from "./on-device.ts";
export type { Hint } from "./hint.ts";
export { betaShare, LEAST_ALPHA, mixedUp, MOST_ALPHA } from "./mixup.ts";
export * from "./sparsity.ts";
export * from "./checkpoint.ts";
export * from "./metrics.ts";
export * from "./map-dataset.ts";
