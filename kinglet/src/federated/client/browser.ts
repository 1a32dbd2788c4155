export type { ClientEvent, ClientOptions, Participation } from "./client.ts";
export type { Conditions } from "./conditions.ts";
export type { Learned, Learner } from "./learner.ts";
export { join, type PageJoinOptions, pageStore } from "./page.ts";
export type { ClientStore } from "./store.ts";
