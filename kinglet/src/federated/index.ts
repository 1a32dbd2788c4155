export * from "./browser.ts";
export * from "./coordinator/index.ts";
