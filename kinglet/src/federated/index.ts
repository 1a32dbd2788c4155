export * from "./browser.ts";
export * from "./client/index.ts";
// A page's `join` under the same name is hidden by Node's.
export { join } from "./client/index.ts";
export * from "./coordinator/index.ts";
export * from "./device/index.ts";
export * from "./queue/index.ts";
export { ClientFile } from "./client-file.ts";
export { shownAddress } from "./redis.ts";
export { ThreadClients } from "./thread-clients.ts";
