export * from "./accumulate.ts";
export * from "./conv.ts";
export * from "./dense.ts";
export * from "./fixed.ts";
export * from "./op.ts";
export * from "./pool.ts";
export * from "./quantization.ts";
export * from "./table.ts";
