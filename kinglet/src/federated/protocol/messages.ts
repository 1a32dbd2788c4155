import * as v from "valibot";
import { hex, Time, whole } from "./check.ts";
import { ProjectId, PublicKey, TokenId } from "./claims.ts";
import { RefusalMessage } from "./refusal.ts";
import { SECURE_STEPS, SecureStep } from "./secure-messages.ts";

const SignedText = v.pipe(v.string(), v.minLength(1), v.maxLength(4096));

/** POST /v1/enrol. A client that did not hear the answer sends the same `nonce` again and is enrolled once. */
export const EnrolRequest = v.strictObject({ token: SignedText, nonce: hex(16) });
export type EnrolRequest = v.InferOutput<typeof EnrolRequest>;

export const EnrolAnswer = v.object({ client: whole(1), credential: SignedText, project: ProjectId, key: PublicKey });
export type EnrolAnswer = v.InferOutput<typeof EnrolAnswer>;

/** POST /v1/renew: the same client's, for as long again. */
export const RenewAnswer = v.object({ credential: SignedText });

/** GET /v1/project: a signed `description`, and the project's key for who is new and knows it from its token alone. */
export const ProjectAnswer = v.object({ description: v.string(), key: PublicKey });

/** What a client is asked for: an update of the model's `version` or, with secure aggregation, a step towards it. */
export const Task = v.object({
  round: whole(1),
  version: whole(0),
  step: v.exactOptional(SecureStep),
  /** Later answers do not count. */
  deadline: Time,
  /** `seed` of `LocalStart`, of this client. */
  seed: v.pipe(v.number(), v.safeInteger(), v.minValue(0)),
});
export type Task = v.InferOutput<typeof Task>;

/** Tasks come in this order: rounds and, with secure aggregation, their steps. */
export function placeOfTask({ round, step = SECURE_STEPS[0] }: Task): number {
  return SECURE_STEPS.length * round + SECURE_STEPS.indexOf(step);
}

/** The federation has learned what it was to learn. */
const Finished = v.object({ version: whole(0) });

/** GET /v1/task with 200; without a task it is 204. */
export const TaskAnswer = v.union([v.object({ task: Task }), v.object({ finished: Finished })]);
export type TaskAnswer = v.InferOutput<typeof TaskAnswer>;

/** POST /v1/rounds/:round/update and …/decline. */
export const AcceptedAnswer = v.object({ accepted: v.literal(true) });

/** What a client says on its socket. The first message is `hello`; only a client that is ready is asked. */
export const ClientMessage = v.variant("type", [
  v.strictObject({ type: v.literal("hello"), credential: SignedText }),
  v.strictObject({ type: v.literal("ready") }),
  v.strictObject({ type: v.literal("unready") }),
]);
export type ClientMessage = v.InferOutput<typeof ClientMessage>;

/** What the coordinator says there. */
export const ServerMessage = v.variant("type", [
  v.object({ type: v.literal("welcome"), client: whole(1) }),
  v.object({ type: v.literal("task"), task: Task }),
  /** The round goes on without this client, or is over: it need not train any longer. */
  v.object({ type: v.literal("closed"), round: whole(1) }),
  v.object({ type: v.literal("finished"), version: whole(0) }),
  v.object({ type: v.literal("refused"), ...RefusalMessage.entries }),
]);
export type ServerMessage = v.InferOutput<typeof ServerMessage>;

/** GET /v1/parameters/:version has its signed `manifest` in this header. */
export const MANIFEST_HEADER = "kinglet-manifest";

/** GET /v1/task?wait=SECONDS waits at most so long. */
export const MOST_WAIT_SECONDS = 60;

/** What a project's administrator sees of a client. */
const ClientReport = v.object({
  client: whole(1),
  /** Id of the token that it enrolled with. */
  token: TokenId,
  enrolled: Time,
  /** Since when it is shut out. */
  expelled: v.nullable(Time),
  /** The last round that its update was accepted in. */
  lastAnswered: v.nullable(whole(1)),
  answered: whole(0),
  declined: whole(0),
});
export type ClientReport = v.InferOutput<typeof ClientReport>;

/** GET /v1/clients?after=NUMBER, for the holder of an `admin` token: some clients with higher numbers, and whether there are more. */
export const ClientsAnswer = v.object({ clients: v.array(ClientReport), more: v.boolean() });
export type ClientsAnswer = v.InferOutput<typeof ClientsAnswer>;

/** POST /v1/clients/:client/expel. */
export const ExpelAnswer = v.object({ expelled: ClientReport });

/** POST /v1/tokens/:token/revoke, with how many clients it has enrolled: they stay. */
export const RevokeAnswer = v.object({ token: TokenId, enrolled: whole(0) });
export type RevokeAnswer = v.InferOutput<typeof RevokeAnswer>;

const Share = v.pipe(v.number(), v.minValue(0), v.maxValue(1));

const RoundReport = v.object({
  round: whole(1),
  /** That clients began with. */
  version: whole(0),
  status: v.picklist(["open", "closed", "given up"]),
  opened: Time,
  deadline: Time,
  ended: v.nullable(Time),
  /** Updates that were wanted, of how many clients that were asked, out of how many that were ready. */
  wanted: whole(0),
  selected: whole(0),
  ready: whole(0),
  answered: whole(0),
  declined: whole(0),
  /** What clients sent. */
  bytes: v.pipe(v.number(), v.safeInteger(), v.minValue(0)),
  /** The share of right answers of the version that it gave, where it was judged. */
  accuracy: v.exactOptional(Share),
});

/** GET /v1/status, for the holder of an `admin` token. */
export const StatusAnswer = v.object({
  project: ProjectId,
  name: v.string(),
  /** The newest of the model. */
  version: whole(0),
  /** The version to reach. */
  goal: whole(0),
  state: v.picklist(["learning", "paused", "finished"]),
  clients: v.object({ enrolled: whole(0), ready: whole(0), connections: whole(0) }),
  /** The privacy spent so far; null is infinitely much. */
  epsilon: v.exactOptional(v.nullable(v.number())),
  /** The newest version that the coordinator has judged on samples of its own. */
  judged: v.exactOptional(v.object({ version: whole(0), accuracy: Share })),
  /** The last ones, newest first. */
  rounds: v.array(RoundReport),
});
export type StatusAnswer = v.InferOutput<typeof StatusAnswer>;
