export * from "./browser.ts";
export { ClientFile } from "./client-file.ts";
export * from "./coordinator/index.ts";
