export { checked, checkedJson } from "./check.ts";
export { type Claims, type Credential, CREDENTIAL_MS, type Description, type Enrolment, type Manifest, type Purpose, TokenId } from "./claims.ts";
export * from "./messages.ts";
export * from "./secure-messages.ts";
export { Refusal, RefusalMessage, type RefusalReason, REFUSALS } from "./refusal.ts";
export * from "./signed.ts";
export * from "./update-frame.ts";
