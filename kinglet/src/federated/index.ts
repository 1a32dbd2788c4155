export * from "./browser.ts";
export { ClientFile } from "./client-file.ts";
