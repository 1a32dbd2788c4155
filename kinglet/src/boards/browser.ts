// What of this room needs no processes, and so works in a page, too.
export * from "./cores.ts";
