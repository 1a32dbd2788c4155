export { Coordinator, type CoordinatorOptions } from "./coordinator.ts";
export type { Hooks, LogEvent } from "./hooks.ts";
export type { JudgedOn } from "./judging.ts";
export type { Limits } from "./limits.ts";
export { checkStore, openStore, type OpenStore } from "./open-store.ts";
export { DEFAULT_RULES, type FederationPlan, type RoundRules } from "./plan.ts";
export { type FederationServer, serveFederation, type ServerOptions } from "./server.ts";
export { openSqlite } from "./sqlite.ts";
