export * from "./browser.ts";
export * from "./checkpoint-file.ts";
export { writeDurably } from "./durable-file.ts";
