export * from "./optimizer.ts";
export * from "./session.ts";
export * from "./step.ts";
