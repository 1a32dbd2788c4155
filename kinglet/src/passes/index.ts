export * from "./pipeline.ts";
export * from "./differentiate.ts";
export * from "./quantize/index.ts";
