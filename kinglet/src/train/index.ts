export * from "./evaluate.ts";
export * from "./fit.ts";
export * from "./optimizer.ts";
export * from "./schedule.ts";
export * from "./session.ts";
export * from "./step.ts";
export * from "./classifier.ts";
export * from "./checkpoint.ts";
