export { SecureClient } from "./client.ts";
export { SecureCoordinator } from "./coordinator.ts";
export { isPublicKey } from "./crypto.ts";
export * from "./fixed.ts";
export { type KeyAdvertisement, type MaskedInput, MOST_CLIENTS, type Revelation, type SealedShares } from "./messages.ts";
export * from "./weighted.ts";
