export { isKinglet, readKinglet } from "./read.ts";
export { writeKinglet } from "./write.ts";
