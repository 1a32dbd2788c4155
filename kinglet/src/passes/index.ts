export * from "./pipeline.ts";
export * from "./differentiate.ts";
