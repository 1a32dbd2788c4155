export * from "./package.ts";
export * from "./runner.ts";
export * from "./schedules.ts";
