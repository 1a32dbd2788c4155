// What of this room needs no files and no processes, and so works in a page, too.
export * from "./accountant.ts";
export { type ClientMemory, clientsInMemory, type Remembered } from "./client-memory.ts";
export * from "./combine.ts";
export * from "./compression.ts";
export * from "./local.ts";
export * from "./partition.ts";
export * from "./personalise.ts";
export * from "./privacy.ts";
export * from "./protocol/index.ts";
export * from "./round.ts";
export * from "./secure/index.ts";
export { type SecureAggregation, type SecureMean, secureMean } from "./secure-mean.ts";
export * from "./selection.ts";
export * from "./server-optimizer.ts";
export * from "./simulate.ts";
export * from "./strategy.ts";
export * from "./update.ts";
