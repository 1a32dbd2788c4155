export { foldBatchNorm } from "./fold-batch-norm.ts";
export { layOut } from "./layout.ts";
export * from "./pipeline.ts";
export * from "./differentiate.ts";
export * from "./quantize/index.ts";
export * from "./prune/index.ts";
export * from "./unroll-lstm.ts";
export * from "./with-batch.ts";
