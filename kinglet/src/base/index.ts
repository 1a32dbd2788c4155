export * from "./crc32.ts";
export * from "./diagnostics.ts";
export * from "./dtype.ts";
export * from "./float16.ts";
export * from "./permutation.ts";
export * from "./random.ts";
export * from "./shape.ts";
