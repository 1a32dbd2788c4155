export * from "./builder.ts";
export * from "./check.ts";
export * from "./compact.ts";
export * from "./constants.ts";
export * from "./graph.ts";
export * from "./join.ts";
export * from "./print.ts";
