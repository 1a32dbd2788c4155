export * from "./package.ts";
export * from "./runner.ts";
export * from "./schedules.ts";
export { convertLayout } from "./convert.ts";
