export * from "./calibrate.ts";
export * from "./diagnose.ts";
export * from "./noise.ts";
export * from "./values.ts";
