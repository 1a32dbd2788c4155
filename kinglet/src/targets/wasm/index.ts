export * from "./package.ts";
export * from "./runner.ts";
export * from "./schedules.ts";
export * from "./shared-runner.ts";
export { canShareMemory } from "./workers.ts";
export { convertLayout } from "./convert.ts";
