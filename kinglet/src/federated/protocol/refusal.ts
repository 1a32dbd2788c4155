import * as v from "valibot";
import { KingletError } from "../../base/index.ts";

/** Why a coordinator refuses a message, with the HTTP status that says so. A refused message has changed nothing. */
export const REFUSALS = {
  /** It is not what the protocol describes. */
  malformed: 400,
  /** No credential, or one that this coordinator did not give. */
  unauthorized: 401,
  /** A token or credential whose time is over. */
  expired: 401,
  "wrong-project": 403,
  /** A client that was shut out. */
  expelled: 403,
  /** An enrolment token that lets nobody in any more. */
  revoked: 403,
  /** An enrolment token that enrolled as many clients as it may. */
  "used-up": 403,
  /** An update of a client that was not asked for one. */
  "not-selected": 403,
  "not-found": 404,
  /** The client has answered this round otherwise. */
  "already-answered": 409,
  /** The round is closed. */
  late: 410,
  oversized: 413,
  "rate-limited": 429,
  /** Something in the coordinator went wrong; the same message may be sent again. */
  internal: 500,
  /** The coordinator is stopping; the same message may be sent again. */
  unavailable: 503,
} as const satisfies Readonly<Record<string, number>>;

export type RefusalReason = keyof typeof REFUSALS;

/** A message that was refused: thrown where it is checked, sent as JSON, and thrown again by the client that sent it. */
export class Refusal extends KingletError {
  readonly reason: RefusalReason;

  /** @param hint for the person whose message it was; it does not travel. */
  constructor(reason: RefusalReason, message: string, hint?: string) {
    super("bad-input", message, hint === undefined ? {} : { hint });
    this.name = "Refusal";
    this.reason = reason;
  }

  get status(): (typeof REFUSALS)[RefusalReason] {
    return REFUSALS[this.reason];
  }

  /** As it travels. */
  toJSON(): RefusalMessage {
    return { error: { code: this.reason, message: this.message } };
  }
}

/** Body of an answer with a 4xx or 5xx status. */
export const RefusalMessage = v.object({
  error: v.object({ code: v.picklist(Object.keys(REFUSALS) as RefusalReason[]), message: v.pipe(v.string(), v.maxLength(2000)) }),
});
export type RefusalMessage = v.InferOutput<typeof RefusalMessage>;
