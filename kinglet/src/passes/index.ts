export * from "./pipeline.ts";
export * from "./quantize/index.ts";
