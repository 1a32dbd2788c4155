import * as v from "valibot";
import { KingletError } from "../../base/index.ts";
import {
  checkedJson,
  type Credential,
  CREDENTIAL_MS,
  EnrolAnswer,
  EnrolRequest,
  openSigned,
  Refusal,
  type RefusalReason,
} from "../protocol/index.ts";
import type { CoordinatorApi, Identity } from "./api.ts";
import type { ClientStore } from "./store.ts";

export interface MembershipOptions {
  /** An enrolment token; needed the first time. Its project signed it, so it also tells which coordinator is the right one. */
  readonly token?: string;
  readonly store?: ClientStore;
}

const TOKEN_REASONS: readonly RefusalReason[] = ["malformed", "unauthorized", "expired", "wrong-project", "used-up", "revoked"];

/** The identity, and the newest version that this client has seen. */
const Member = v.object({ ...EnrolAnswer.entries, newest: v.number() });

/** What is kept from before a client enrols: whoever cannot keep it uses no token up, and whoever did not hear the answer enrols as the same one. */
const Enrolling = v.strictObject({ nonce: EnrolRequest.entries.nonce });

const encode = (kept: v.InferOutput<typeof Member | typeof Enrolling>): Uint8Array => new TextEncoder().encode(JSON.stringify(kept));

async function load(store: ClientStore | undefined): Promise<v.InferOutput<typeof Member | typeof Enrolling> | null> {
  const bytes = (await store?.load("identity")) ?? null;
  return bytes === null ? null : checkedJson(v.union([Enrolling, Member]), new TextDecoder().decode(bytes), "what this client has kept");
}

function newNonce(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Tries again while nobody answers. */
type Patiently = <T>(work: () => Promise<T>) => Promise<T>;

/** @throws KingletError `misuse` where a new client has no token. */
export function neededToken({ token }: MembershipOptions): string {
  if (token === undefined) throw new KingletError("misuse", "a client that is new needs an enrolment token");
  return token;
}

/** Whatever is wrong with a token, its owner can only ask for another one. */
export function refusedToken(error: unknown): never {
  if (!(error instanceof Refusal) || !TOKEN_REASONS.includes(error.reason)) throw error;
  throw new Refusal(
    error.reason,
    `the enrolment token is refused: ${error.message}`,
    "Copy all of what kinglet federate token printed, or ask for another one.",
  );
}

/** A new token does not help a client that goes by who it was. */
export function refusedMember(error: unknown): never {
  if (!(error instanceof Refusal) || (error.reason !== "expelled" && error.reason !== "unauthorized")) throw error;
  throw new Refusal(
    error.reason,
    error.message,
    "A token enrols a new client where nothing is kept of this one: name another --identity, or remove its file.",
  );
}

/** Who this client is in its project, from one run to the next. */
export class Membership {
  private who: Identity;
  private claims: Credential;
  private newest: number;
  private readonly store: ClientStore | undefined;

  private constructor(identity: Identity, newest: number, store: ClientStore | undefined) {
    this.who = identity;
    this.claims = openSigned("credential", identity.credential, identity.key);
    this.newest = newest;
    this.store = store;
  }

  /**
   * The one that was kept; null where there is none, or it has expired and there is a token to enrol with again.
   * @throws Refusal `wrong-project` where it is of another project than the token.
   */
  static async kept({ token, store }: MembershipOptions): Promise<Membership | null> {
    const kept = await load(store);
    if (kept === null || "nonce" in kept) return null;
    const { newest, ...identity } = kept;
    if (token !== undefined) openSigned("enrolment", token, identity.key);
    const membership = new Membership(identity, newest, store);
    return token !== undefined && Date.now() >= membership.claims.expires ? null : membership;
  }

  /**
   * Enrols. @param patiently whoever hears the same twice enrols once.
   * @throws Refusal where the token is none of this project's; KingletError `misuse` without one; what the store throws where it cannot keep it.
   */
  static async enrol(api: CoordinatorApi, options: MembershipOptions, patiently: Patiently): Promise<Membership> {
    const token = neededToken(options);
    const kept = await load(options.store);
    const nonce = kept !== null && "nonce" in kept ? kept.nonce : newNonce();
    await options.store?.save("identity", encode({ nonce }));
    const membership = new Membership(await patiently(() => api.enrol(token, nonce)).catch(refusedToken), 0, options.store);
    await membership.keep();
    return membership;
  }

  get identity(): Identity {
    return this.who;
  }

  /** The nonce of the enrolment, which is this membership's alone. */
  get nonce(): string {
    return this.claims.nonce;
  }

  /** Gets a new credential in the last quarter of the old one's time. */
  async renewInTime(api: CoordinatorApi, patiently: Patiently): Promise<void> {
    if (this.claims.expires - Date.now() > CREDENTIAL_MS / 4) return;
    const credential = await patiently(() => api.renew(this.who));
    this.claims = openSigned("credential", credential, this.who.key);
    this.who = { ...this.who, credential };
    await this.keep();
  }

  private async keep(): Promise<void> {
    await this.store?.save("identity", encode({ ...this.who, newest: this.newest }));
  }

  /** @throws Refusal where a version is older than one that was seen: somebody shows what was signed long ago. */
  checkNewest(version: number): void {
    if (version < this.newest)
      throw new Refusal("unauthorized", `the coordinator goes back to version ${version}, and this client has seen ${this.newest}`);
  }

  /** Remembers a version whose signature is right. */
  async saw(version: number): Promise<void> {
    if (version === this.newest) return;
    this.newest = version;
    await this.keep();
  }
}
