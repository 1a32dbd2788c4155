import * as v from "valibot";
import { KingletError } from "../../base/index.ts";
import { checkedJson, EnrolAnswer, openSigned, Refusal, type RefusalReason } from "../protocol/index.ts";
import type { CoordinatorApi, Identity } from "./api.ts";

/** A place for a short text that outlives the program, so that a client stays the same one. */
export interface IdentityStore {
  load(): Promise<string | null>;
  save(text: string): Promise<void>;
}

export interface MembershipOptions {
  /** An enrolment token; needed the first time. Its project signed it, so it also tells which coordinator is the right one. */
  readonly token?: string;
  readonly store?: IdentityStore;
}

const TOKEN_REASONS: readonly RefusalReason[] = ["malformed", "unauthorized", "expired", "wrong-project", "used-up"];

/** The identity, and the newest version that this client has seen. */
const Kept = v.object({ ...EnrolAnswer.entries, newest: v.number() });

/** Whatever is wrong with a token, its owner can only ask for another one. */
function refusedToken(error: unknown): never {
  if (!(error instanceof Refusal) || !TOKEN_REASONS.includes(error.reason)) throw error;
  throw new Refusal(
    error.reason,
    `the enrolment token is refused: ${error.message}`,
    "Copy all of what kinglet federate token printed, or ask for another one.",
  );
}

/** Who this client is in its project, from one run to the next. */
export class Membership {
  readonly identity: Identity;
  private newest: number;
  private readonly store: IdentityStore | undefined;

  private constructor(identity: Identity, newest: number, store: IdentityStore | undefined) {
    this.identity = identity;
    this.newest = newest;
    this.store = store;
  }

  /** The one that was kept; null where there is none. @throws Refusal `wrong-project` where it is of another project than the token. */
  static async kept({ token, store }: MembershipOptions): Promise<Membership | null> {
    const text = (await store?.load()) ?? null;
    if (text === null) return null;
    const { newest, ...identity } = checkedJson(Kept, text, "what this client has kept");
    if (token !== undefined) openSigned("enrolment", token, identity.key);
    return new Membership(identity, newest, store);
  }

  /**
   * Enrols. @param patiently tries again while nobody answers; whoever hears the same twice enrols once.
   * @throws Refusal where the token is none of this project's; KingletError `misuse` without one.
   */
  static async enrol(
    api: CoordinatorApi,
    { token, store }: MembershipOptions,
    patiently: <T>(work: () => Promise<T>) => Promise<T>,
  ): Promise<Membership> {
    if (token === undefined) throw new KingletError("misuse", "a client that is new needs an enrolment token");
    const nonce = Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
    const membership = new Membership(await patiently(() => api.enrol(token, nonce)).catch(refusedToken), 0, store);
    await membership.keep();
    return membership;
  }

  private async keep(): Promise<void> {
    await this.store?.save(JSON.stringify({ ...this.identity, newest: this.newest }));
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
