export type { ClientEvent, ClientOptions, IdentityStore, Participation } from "./client.ts";
export type { Conditions } from "./conditions.ts";
export type { Learned, Learner } from "./learner.ts";
export { join, type PageJoinOptions, pageStore } from "./page.ts";
