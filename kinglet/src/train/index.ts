export * from "./browser.ts";
export * from "./checkpoint-file.ts";
