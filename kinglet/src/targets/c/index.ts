export * from "./harness.ts";
export * from "./library.ts";
export * from "./schedules.ts";
export * from "./packaging.ts";
