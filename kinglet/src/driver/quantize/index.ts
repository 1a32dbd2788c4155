export * from "./calibrate.ts";
export * from "./noise.ts";
export * from "./values.ts";
