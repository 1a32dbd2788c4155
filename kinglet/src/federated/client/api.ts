import type * as v from "valibot";
import { KingletError } from "../../base/index.ts";
import {
  AcceptedAnswer,
  checkedJson,
  type Claims,
  type Description,
  EnrolAnswer,
  GroupAnswer,
  MANIFEST_HEADER,
  openSigned,
  ProjectAnswer,
  Refusal,
  RefusalMessage,
  RenewAnswer,
  type SecureStep,
  sha256Hex,
  SharesAnswer,
  SurvivorsAnswer,
  TaskAnswer,
} from "../protocol/index.ts";

/** Who this client is, and whose model it learns. */
export interface Identity {
  readonly client: number;
  readonly credential: string;
  readonly project: string;
  /** The project's public key: what it did not sign is refused. */
  readonly key: string;
}

/** A new client's token, with which it may look before it enrols. */
export interface Guest {
  readonly token: string;
}

/** How whoever calls shows who that is. */
type Shown = Pick<Identity, "credential"> | Guest;

/** A version of the model, once its signature is known to be right. */
export interface Version {
  readonly parameters: Float32Array;
  /** The common control variate; SCAFFOLD only. */
  readonly control?: Float32Array;
}

/** A whole federation would not fit into this; without a limit a wrong address could send without end. */
const MOST_BYTES = 2 ** 30;

async function bytesOfAnswer(response: Response, most: number): Promise<Uint8Array> {
  const told = Number(response.headers.get("content-length") ?? 0);
  if (told > most) throw new Refusal("oversized", `the coordinator sends ${told} bytes where at most ${most} are expected`);
  const parts: Uint8Array[] = [];
  let length = 0;
  for (const reader = response.body!.getReader(); ; ) {
    const { value } = await reader.read();
    if (value === undefined) break;
    length += value.length;
    if (length > most) {
      await reader.cancel();
      throw new Refusal("oversized", `the coordinator sends more than the ${most} bytes that are expected`);
    }
    parts.push(value);
  }
  const all = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** An address as a person types it, without a slash at its end. @throws KingletError `misuse` where it is none. */
export function coordinatorUrl(text: string): string {
  const protocol = URL.canParse(text) ? new URL(text).protocol : "";
  if (protocol === "http:" || protocol === "https:") return text.replace(/\/+$/, "");
  throw new KingletError("misuse", "this is no coordinator's address", { place: text, hint: "An address is like http://host:8080." });
}

/** What an answer that is none of success says; without words of a coordinator it is somebody else, or one that is not whole. */
export async function refusalOf(response: Response): Promise<Refusal> {
  const text = new TextDecoder().decode(await bytesOfAnswer(response, 1 << 16));
  try {
    const { error } = checkedJson(RefusalMessage, text, "the answer");
    return new Refusal(error.code, error.message);
  } catch {
    return new Refusal(response.status >= 500 ? "unavailable" : "malformed", `the address answers ${response.status}, and not as a coordinator does`);
  }
}

function floats(bytes: Uint8Array): Float32Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Float32Array.from({ length: bytes.length / 4 }, (_, i) => view.getFloat32(4 * i, true));
}

/** A coordinator over HTTP: each call once, with what comes back checked. Refusals are thrown, and what `fetch` throws where nobody answers. */
export class CoordinatorApi {
  private readonly base: string;
  private readonly signal: AbortSignal;

  /** @throws what `coordinatorUrl` throws. */
  constructor(url: string, signal: AbortSignal) {
    this.base = coordinatorUrl(url);
    this.signal = signal;
  }

  /** The address of the socket. */
  get socketUrl(): string {
    return `${this.base.replace(/^http/, "ws")}/v1/socket`;
  }

  private async call(path: string, init: RequestInit, who?: Shown): Promise<Response> {
    const authorization = who === undefined ? undefined : "token" in who ? `Enrolment ${who.token}` : `Bearer ${who.credential}`;
    const headers = { ...init.headers, ...(authorization === undefined ? {} : { authorization }) };
    const response = await fetch(`${this.base}/v1/${path}`, { ...init, headers, signal: this.signal, cache: "no-store" });
    if (!response.ok) throw await refusalOf(response);
    return response;
  }

  private async json<const S extends v.GenericSchema>(schema: S, response: Response): Promise<v.InferOutput<S>> {
    return checkedJson(schema, new TextDecoder().decode(await bytesOfAnswer(response, 1 << 22)), "the coordinator's answer");
  }

  /** The key that comes back is the project's only if it signed the token, which a person gave. */
  async enrol(token: string, nonce: string): Promise<Identity> {
    const init = { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ token, nonce }) };
    const { client, credential, project, key } = await this.json(EnrolAnswer, await this.call("enrol", init));
    if (project !== openSigned("enrolment", token, key).project)
      throw new Refusal("wrong-project", "the coordinator is of another project than its key");
    return { client, credential, project, key };
  }

  /** The same client's next credential. */
  async renew(who: Identity): Promise<string> {
    return (await this.json(RenewAnswer, await this.call("renew", { method: "POST" }, who))).credential;
  }

  /** A guest has no key yet: the one that comes is the project's only if it signed the token. */
  async description(who: Identity | Guest): Promise<Description> {
    const { description, key } = await this.json(ProjectAnswer, await this.call("project", {}, who));
    if ("token" in who) openSigned("enrolment", who.token, key);
    return openSigned("description", description, "token" in who ? key : who.key);
  }

  /** The `.kinglet` file that the description speaks of. */
  async network(who: Identity | Guest, { network: { sha256, bytes } }: Description): Promise<Uint8Array> {
    const file = await bytesOfAnswer(await this.call("network", {}, who), bytes);
    if (sha256Hex(file) !== sha256) throw new Refusal("unauthorized", "the network is not the one that the project signed");
    return file;
  }

  /** Refused unless the project signed just this version, of just these bytes. */
  async version(who: Identity, version: number, { length, control }: Description): Promise<Version> {
    const response = await this.call(`parameters/${version}`, {}, who);
    const claims: Claims<"manifest"> = openSigned("manifest", response.headers.get(MANIFEST_HEADER) ?? "", who.key);
    if (claims.version !== version || claims.length !== length || claims.control !== control)
      throw new Refusal("unauthorized", `the model is of version ${claims.version}, not ${version}, or of another network`);
    const bytes = await bytesOfAnswer(response, Math.min(MOST_BYTES, 4 * length * (control ? 2 : 1)));
    if (sha256Hex(bytes) !== claims.sha256) throw new Refusal("unauthorized", "the model is not the one that the project signed");
    const parameters = floats(bytes.subarray(0, 4 * length));
    return control ? { parameters, control: floats(bytes.subarray(4 * length)) } : { parameters };
  }

  /** Waits up to so many seconds; null where there is nothing to do. */
  async task(who: Identity, waitSeconds: number): Promise<TaskAnswer | null> {
    const response = await this.call(`task?wait=${waitSeconds}`, {}, who);
    return response.status === 204 ? null : await this.json(TaskAnswer, response);
  }

  async submit(who: Identity, round: number, frame: Uint8Array): Promise<void> {
    const init = { method: "POST", headers: { "content-type": "application/octet-stream" }, body: frame as Uint8Array<ArrayBuffer> };
    await this.json(AcceptedAnswer, await this.call(`rounds/${round}/update`, init, who));
  }

  /** What a client answers to a step of secure aggregation, as JSON. */
  async answerStep(who: Identity, round: number, step: Exclude<SecureStep, "update">, body: string): Promise<void> {
    const init = { method: "POST", headers: { "content-type": "application/json" }, body };
    await this.json(AcceptedAnswer, await this.call(`rounds/${round}/${step}`, init, who));
  }

  /** What a client is shown for its next step. Refused where it is of another round. */
  private async shown<const S extends v.GenericSchema<unknown, { readonly round: number }>>(
    schema: S,
    who: Identity,
    round: number,
    what: "group" | "shares" | "survivors",
  ): Promise<v.InferOutput<S>> {
    const answer = await this.json(schema, await this.call(`rounds/${round}/${what}`, {}, who));
    if (answer.round !== round) throw new Refusal("malformed", `the ${what} are of round ${answer.round}, not ${round}`);
    return answer;
  }

  /** Everybody who sent keys. */
  group(identity: Identity, round: number): Promise<GroupAnswer> {
    return this.shown(GroupAnswer, identity, round, "group");
  }

  /** What the others have for this client. */
  shares(identity: Identity, round: number): Promise<SharesAnswer> {
    return this.shown(SharesAnswer, identity, round, "shares");
  }

  /** Whose updates are there. */
  survivors(identity: Identity, round: number): Promise<SurvivorsAnswer> {
    return this.shown(SurvivorsAnswer, identity, round, "survivors");
  }

  async decline(who: Identity, round: number): Promise<void> {
    await this.json(AcceptedAnswer, await this.call(`rounds/${round}/decline`, { method: "POST" }, who));
  }
}
