import { bytesToHex, hexToBytes } from "@noble/hashes/utils.js";
import * as v from "valibot";
import { type KeyAdvertisement, MOST_CLIENTS, type Revelation, type SealedShares } from "../secure/index.ts";
import { hex, whole } from "./check.ts";

/**
 * What a client of a round of secure aggregation is asked for, one after the other: public keys once it has trained, shares of its secrets for
 * the others, its masked update, and what it knows of the others' secrets.
 */
export const SECURE_STEPS = ["keys", "shares", "update", "revelation"] as const;
export const SecureStep = v.picklist(SECURE_STEPS);
export type SecureStep = v.InferOutput<typeof SecureStep>;

/** Keys have 32 bytes, and a share of one has a byte more: its place. */
const [KEY_BYTES, SHARE_BYTES] = [32, 33];
/** Nonce, shares of both secrets, tag. */
const SEALED_BYTES = 24 + 2 * SHARE_BYTES + 16;

const atMostAll = <const S extends v.GenericSchema>(item: S) => v.pipe(v.array(item), v.maxLength(MOST_CLIENTS));
const Keys = { channelKey: hex(KEY_BYTES), maskKey: hex(KEY_BYTES) };
const Share = v.strictObject({ client: whole(1), share: hex(SHARE_BYTES) });

/** POST /v1/rounds/:round/keys, in hexadecimal as all secrets and keys. */
export const KeysMessage = v.strictObject(Keys);
export type KeysMessage = v.InferOutput<typeof KeysMessage>;

/** GET /v1/rounds/:round/group, once a client is asked for shares: everybody who sent keys. */
export const GroupAnswer = v.object({ round: whole(1), group: atMostAll(v.object({ client: whole(1), ...Keys })) });
export type GroupAnswer = v.InferOutput<typeof GroupAnswer>;

/** POST /v1/rounds/:round/shares: something for each other client of the group, which nobody else can read. */
export const SharesMessage = v.strictObject({ shares: atMostAll(v.strictObject({ to: whole(1), sealed: hex(SEALED_BYTES) })) });
export type SharesMessage = v.InferOutput<typeof SharesMessage>;

/** GET /v1/rounds/:round/shares, once a client is asked for its update: what the others have for it. */
export const SharesAnswer = v.object({ round: whole(1), shares: atMostAll(v.object({ from: whole(1), sealed: hex(SEALED_BYTES) })) });
export type SharesAnswer = v.InferOutput<typeof SharesAnswer>;

/** GET /v1/rounds/:round/survivors, once a client is asked to reveal: those whose updates are there. */
export const SurvivorsAnswer = v.object({ round: whole(1), survivors: atMostAll(whole(1)) });
export type SurvivorsAnswer = v.InferOutput<typeof SurvivorsAnswer>;

/** POST /v1/rounds/:round/revelation: a share of each survivor's seed, and of the key of each other client that had shared. */
export const RevelationMessage = v.strictObject({ seedShares: atMostAll(Share), keyShares: atMostAll(Share) });
export type RevelationMessage = v.InferOutput<typeof RevelationMessage>;

/** Bytes of the longest of these messages as JSON: shares for everybody. */
export const MOST_SECURE_BYTES = MOST_CLIENTS * (2 * SEALED_BYTES + 64);

export function keysMessage({ channelKey, maskKey }: KeyAdvertisement): KeysMessage {
  return { channelKey: bytesToHex(channelKey), maskKey: bytesToHex(maskKey) };
}

export function advertisementOf(client: number, { channelKey, maskKey }: KeysMessage): KeyAdvertisement {
  return { client, channelKey: hexToBytes(channelKey), maskKey: hexToBytes(maskKey) };
}

export function sharesMessage(shares: readonly SealedShares[]): SharesMessage {
  return { shares: shares.map(({ to, sealed }) => ({ to, sealed: bytesToHex(sealed) })) };
}

/** What came to client `to`. */
export function sealedSharesOf(to: number, { shares }: SharesAnswer): SealedShares[] {
  return shares.map(({ from, sealed }) => ({ from, to, sealed: hexToBytes(sealed) }));
}

export function revelationMessage({ seedShares, keyShares }: Revelation): RevelationMessage {
  const listed = (shares: ReadonlyMap<number, Uint8Array>): RevelationMessage["seedShares"] =>
    [...shares].map(([client, share]) => ({ client, share: bytesToHex(share) }));
  return { seedShares: listed(seedShares), keyShares: listed(keyShares) };
}

export function revelationOf(client: number, { seedShares, keyShares }: RevelationMessage): Revelation {
  const mapped = (shares: RevelationMessage["seedShares"]): Map<number, Uint8Array> =>
    new Map(shares.map(({ client: about, share }) => [about, hexToBytes(share)]));
  return { client, seedShares: mapped(seedShares), keyShares: mapped(keyShares) };
}
