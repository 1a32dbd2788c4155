export * from "./board.ts";
export * from "./browser.ts";
export * from "./catalogue.ts";
export * from "./firmware.ts";
export * from "./hostc.ts";
export * from "./process.ts";
export * from "./sections.ts";
export * from "./tools.ts";
