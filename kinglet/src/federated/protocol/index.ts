export { checked, checkedJson } from "./check.ts";
export type { Claims, Credential, Description, Enrolment, Manifest, Purpose } from "./claims.ts";
export * from "./messages.ts";
export * from "./secure-messages.ts";
export { Refusal, RefusalMessage, type RefusalReason, REFUSALS } from "./refusal.ts";
export * from "./signed.ts";
export * from "./update-frame.ts";
