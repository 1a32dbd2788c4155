// What of this room needs no compiler, no emulator and no files, and so works in a page, too.
export * from "./compile.ts";
export * from "./samples.ts";
export * from "./tensors.ts";
export * from "./quantize/index.ts";
export type { SparseLayer } from "./zeros.ts";
