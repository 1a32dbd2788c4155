export * from "./evaluate.ts";
export * from "./runner.ts";
export * from "./package.ts";
