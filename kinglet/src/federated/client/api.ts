import type * as v from "valibot";
import { KingletError } from "../../base/index.ts";
import {
  AcceptedAnswer,
  checkedJson,
  type Claims,
  type Description,
  EnrolAnswer,
  MANIFEST_HEADER,
  openSigned,
  ProjectAnswer,
  Refusal,
  RefusalMessage,
  sha256Hex,
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

  private async call(path: string, init: RequestInit, credential?: string): Promise<Response> {
    const headers = { ...init.headers, ...(credential === undefined ? {} : { authorization: `Bearer ${credential}` }) };
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

  async description({ credential, key }: Identity): Promise<Description> {
    const { description } = await this.json(ProjectAnswer, await this.call("project", {}, credential));
    return openSigned("description", description, key);
  }

  /** The `.kinglet` file that the description speaks of. */
  async network({ credential }: Identity, { network: { sha256, bytes } }: Description): Promise<Uint8Array> {
    const file = await bytesOfAnswer(await this.call("network", {}, credential), bytes);
    if (sha256Hex(file) !== sha256) throw new Refusal("unauthorized", "the network is not the one that the project signed");
    return file;
  }

  /** Refused unless the project signed just this version, of just these bytes. */
  async version({ credential, key }: Identity, version: number, { length, control }: Description): Promise<Version> {
    const response = await this.call(`parameters/${version}`, {}, credential);
    const claims: Claims<"manifest"> = openSigned("manifest", response.headers.get(MANIFEST_HEADER) ?? "", key);
    if (claims.version !== version || claims.length !== length || claims.control !== control)
      throw new Refusal("unauthorized", `the model is of version ${claims.version}, not ${version}, or of another network`);
    const bytes = await bytesOfAnswer(response, Math.min(MOST_BYTES, 4 * length * (control ? 2 : 1)));
    if (sha256Hex(bytes) !== claims.sha256) throw new Refusal("unauthorized", "the model is not the one that the project signed");
    const parameters = floats(bytes.subarray(0, 4 * length));
    return control ? { parameters, control: floats(bytes.subarray(4 * length)) } : { parameters };
  }

  /** Waits up to so many seconds; null where there is nothing to do. */
  async task({ credential }: Identity, waitSeconds: number): Promise<TaskAnswer | null> {
    const response = await this.call(`task?wait=${waitSeconds}`, {}, credential);
    return response.status === 204 ? null : await this.json(TaskAnswer, response);
  }

  async submit({ credential }: Identity, round: number, frame: Uint8Array): Promise<void> {
    const init = { method: "POST", headers: { "content-type": "application/octet-stream" }, body: frame as Uint8Array<ArrayBuffer> };
    await this.json(AcceptedAnswer, await this.call(`rounds/${round}/update`, init, credential));
  }

  async decline({ credential }: Identity, round: number): Promise<void> {
    await this.json(AcceptedAnswer, await this.call(`rounds/${round}/decline`, { method: "POST" }, credential));
  }
}
