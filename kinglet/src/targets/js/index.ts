export * from "./evaluate.ts";
export * from "./runner.ts";
