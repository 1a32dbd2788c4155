import { ed25519 } from "@noble/curves/ed25519.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex, hexToBytes } from "@noble/hashes/utils.js";
import { checkedJson } from "./check.ts";
import { CLAIMS, type Claims, type Purpose } from "./claims.ts";
import { Refusal } from "./refusal.ts";

/** A project's Ed25519 keys, in hexadecimal. */
export interface ProjectKeys {
  readonly secretKey: string;
  readonly publicKey: string;
}

export function newProjectKeys(): ProjectKeys {
  const { secretKey, publicKey } = ed25519.keygen();
  return { secretKey: bytesToHex(secretKey), publicKey: bytesToHex(publicKey) };
}

/** The public key of a secret one. */
export function publicKeyOf(secretKey: string): string {
  return bytesToHex(ed25519.getPublicKey(hexToBytes(secretKey)));
}

export function sha256Hex(bytes: Uint8Array): string {
  return bytesToHex(sha256(bytes));
}

/** A project's name in all messages: it follows from the key, so nobody else can take it. */
export function projectOf(publicKey: string): string {
  return sha256Hex(hexToBytes(publicKey)).slice(0, 16);
}

/** As URLs, headers and people take it (RFC 4648, section 5, without padding). */
function base64url(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

function fromBase64url(text: string): Uint8Array {
  if (!/^[A-Za-z0-9_-]+$/.test(text)) throw new Refusal("malformed", "a signed text has characters that do not belong there");
  try {
    return Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (each) => each.charCodeAt(0));
  } catch {
    throw new Refusal("malformed", "a signed text is not whole");
  }
}

/** Longer than any description. */
const MOST_CHARACTERS = 2 ** 21;

/** What the signature is of: the purpose keeps a signature from being shown for something else. */
function message(purpose: Purpose, payload: Uint8Array): Uint8Array {
  const head = new TextEncoder().encode(`kinglet federation 1 ${purpose}\n`);
  const all = new Uint8Array(head.length + payload.length);
  all.set(head);
  all.set(payload, head.length);
  return all;
}

/** Claims as one line of text, "CLAIMS.SIGNATURE", both base64url. */
export function sign<P extends Purpose>(purpose: P, claims: Claims<P>, secretKey: string): string {
  const payload = new TextEncoder().encode(JSON.stringify(claims));
  return `${base64url(payload)}.${base64url(ed25519.sign(message(purpose, payload), hexToBytes(secretKey)))}`;
}

/** Whether this key signed; whatever is no signature did not. */
function isSigned(signature: Uint8Array, text: Uint8Array, publicKey: string): boolean {
  try {
    return ed25519.verify(signature, text, hexToBytes(publicKey), { zip215: false });
  } catch {
    return false;
  }
}

/**
 * The claims of a signed text, once signature and project are known to be right. Whether they have expired is `checkTime`'s to say.
 * @throws Refusal `malformed`, `wrong-project` or `unauthorized`.
 */
export function openSigned<P extends Purpose>(purpose: P, text: string, publicKey: string): Claims<P> {
  const parts = text.length > MOST_CHARACTERS ? [] : text.split(".");
  if (parts.length !== 2) throw new Refusal("malformed", `this is no signed ${purpose}`);
  const [payload, signature] = parts.map(fromBase64url) as [Uint8Array, Uint8Array];
  const claims = checkedJson(CLAIMS[purpose], new TextDecoder().decode(payload), `the ${purpose}`) as Claims<P>;
  if (claims.project !== projectOf(publicKey)) throw new Refusal("wrong-project", `the ${purpose} is of another project, ${claims.project}`);
  if (!isSigned(signature, message(purpose, payload), publicKey)) throw new Refusal("unauthorized", `the ${purpose} is not signed by its project`);
  return claims;
}

/** @param remedy what whoever shows it can do. @throws Refusal `expired` once the time has come. */
export function checkTime({ expires }: { readonly expires: number }, now: number, what: string, remedy?: string): void {
  if (now < expires) return;
  throw new Refusal("expired", `the ${what} expired on ${new Date(expires).toISOString()}${remedy === undefined ? "" : `: ${remedy}`}`);
}
