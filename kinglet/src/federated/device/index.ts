export * from "./device-learner.ts";
export * from "./firmware.ts";
export { hasBatchNorm, networkForDevices } from "./network.ts";
export { openSerialPort } from "./serial-port.ts";
export type { LinkOptions, SerialLine } from "./link.ts";
