export { isKinglet, readKinglet } from "./read.ts";
export { writeKinglet } from "./write.ts";
export { crc32 } from "./crc32.ts";
