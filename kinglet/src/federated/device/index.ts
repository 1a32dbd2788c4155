export * from "./device-learner.ts";
export * from "./firmware.ts";
export type { LinkOptions, SerialLine } from "./link.ts";
