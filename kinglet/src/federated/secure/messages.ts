import { KingletError } from "../../base/index.ts";

/** A client's public keys for one round: one to encrypt shares with, one that masks are made from. */
export interface KeyAdvertisement {
  readonly client: number;
  readonly channelKey: Uint8Array;
  readonly maskKey: Uint8Array;
}

/** Shares of a client's secrets for another one, which nobody else can read. */
export interface SealedShares {
  readonly from: number;
  readonly to: number;
  readonly sealed: Uint8Array;
}

/** A client's numbers modulo 2^32, which without the others' tell nothing. */
export interface MaskedInput {
  readonly client: number;
  readonly masked: Uint32Array;
}

/** What a client knows of the others' secrets: of each survivor the share of its own mask's seed, of each dropped-out one that of its key. */
export interface Revelation {
  readonly client: number;
  readonly seedShares: ReadonlyMap<number, Uint8Array>;
  readonly keyShares: ReadonlyMap<number, Uint8Array>;
}

/** How many clients there are, and how many must stay to the end. */
export interface SecureGroup {
  readonly clients: readonly number[];
  /** Shares that it takes to know a secret: more than half, so that no two different sets of survivors can both be asked. */
  readonly threshold: number;
}

/** Most clients of a group: a share's place is a byte. */
export const MOST_CLIENTS = 255;

/** A step of the protocol that must not go on. */
export function failClosed(why: string): never {
  throw new KingletError("check-failed", `secure aggregation stops: ${why}`, { hint: "Nothing was revealed. Begin a new round." });
}

/** @throws KingletError `misuse` for a group that cannot be safe. */
export function checkGroup({ clients, threshold }: SecureGroup): void {
  if (new Set(clients).size !== clients.length) failClosed("a client is there twice");
  if (clients.length < 2 || clients.length > MOST_CLIENTS)
    throw new KingletError("misuse", `a group for secure aggregation has 2 to ${MOST_CLIENTS} clients, not ${clients.length}`);
  if (!(Number.isInteger(threshold) && threshold >= 2 && threshold <= clients.length && 2 * threshold > clients.length))
    throw new KingletError("misuse", `the threshold of ${clients.length} clients is a whole number above their half, not ${threshold}`);
}
