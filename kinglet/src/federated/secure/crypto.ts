import { chacha20, xchacha20poly1305 } from "@noble/ciphers/chacha.js";
import { x25519 } from "@noble/curves/ed25519.js";
import { hkdf } from "@noble/hashes/hkdf.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { KingletError } from "../../base/index.ts";

/** Keys, seeds and shared secrets have 32 bytes. */
export const KEY_BYTES = 32;
const NONCE_BYTES = 24;

export interface KeyPair {
  readonly secretKey: Uint8Array;
  readonly publicKey: Uint8Array;
}

export function newKeys(): KeyPair {
  return x25519.keygen();
}

export function randomBytes(count: number): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(count));
}

/** Whether secrets can be shared by a public key: some points give everybody the same. */
export function isPublicKey(key: Uint8Array): boolean {
  try {
    x25519.getSharedSecret(newKeys().secretKey, key);
    return true;
  } catch {
    return false;
  }
}

/** A key that two parties share for one purpose. @throws KingletError `bad-input` for a public key that gives nothing away but zeros. */
export function sharedKey(own: Uint8Array, other: Uint8Array, purpose: string): Uint8Array {
  let secret: Uint8Array;
  try {
    secret = x25519.getSharedSecret(own, other);
  } catch {
    throw new KingletError("bad-input", "a public key of the round is not one");
  }
  return hkdf(sha256, secret, undefined, new TextEncoder().encode(`kinglet secure aggregation: ${purpose}`), KEY_BYTES);
}

/** Whether a secret key belongs to a public one. */
export function belongs(secretKey: Uint8Array, publicKey: Uint8Array): boolean {
  const own = x25519.getPublicKey(secretKey);
  return own.length === publicKey.length && own.every((byte, i) => byte === publicKey[i]);
}

/** Encrypts for the holder of the same key; `about` is authenticated, too. */
export function seal(key: Uint8Array, message: Uint8Array, about: string): Uint8Array {
  const nonce = randomBytes(NONCE_BYTES);
  const text = xchacha20poly1305(key, nonce, new TextEncoder().encode(about)).encrypt(message);
  const sealed = new Uint8Array(NONCE_BYTES + text.length);
  sealed.set(nonce);
  sealed.set(text, NONCE_BYTES);
  return sealed;
}

/** @throws KingletError `bad-input` where it was changed, or is not for this key. */
export function unseal(key: Uint8Array, sealed: Uint8Array, about: string): Uint8Array {
  try {
    return xchacha20poly1305(key, sealed.subarray(0, NONCE_BYTES), new TextEncoder().encode(about)).decrypt(sealed.subarray(NONCE_BYTES));
  } catch {
    throw new KingletError("bad-input", `a share cannot be decrypted (${about})`);
  }
}

/** Adds a seed's stream of 32-bit numbers to `sum` modulo 2^32, or takes it away. A seed is used for one stream only. */
export function addMask(sum: Uint32Array, seed: Uint8Array, sign: 1 | -1): void {
  const stream = chacha20(seed, new Uint8Array(12), new Uint8Array(4 * sum.length));
  const view = new DataView(stream.buffer, stream.byteOffset, stream.byteLength);
  for (let i = 0; i < sum.length; i++) sum[i] = sum[i]! + sign * view.getUint32(4 * i, true);
}
