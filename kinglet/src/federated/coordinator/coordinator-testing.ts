import { randomBytes } from "node:crypto";
import { bytesOf, fromBytes, Xorshift32 } from "../../base/index.ts";
import { mlp } from "../../zoo/index.ts";
import {
  checkedJson,
  EnrolAnswer,
  encodeUpdate,
  MANIFEST_HEADER,
  newProjectKeys,
  openSigned,
  type ProjectKeys,
  projectOf,
  Refusal,
  RefusalMessage,
  type RefusalReason,
  type SecureStep,
  sha256Hex,
  sign,
  StatusAnswer,
  type Task,
  TaskAnswer,
} from "../protocol/index.ts";
import { DEFAULT_SECURE_RULES } from "../secure/index.ts";
import { STRATEGIES } from "../strategy.ts";
import { Coordinator, type CoordinatorOptions } from "./coordinator.ts";
import type { LogEvent } from "./hooks.ts";
import type { Limits } from "./limits.ts";
import { openStore } from "./open-store.ts";
import { DEFAULT_RULES, type FederationPlan, type RoundRules } from "./plan.ts";
import { serveFederation } from "./server.ts";
import { Store } from "./store.ts";

/** Made anew for each process. */
export const KEYS: ProjectKeys = newProjectKeys();
export const [INPUTS, CLASSES] = [6, 3];

export function tinyPlan(more: Partial<FederationPlan> = {}): FederationPlan {
  return {
    name: "clouds",
    network: mlp({ inputs: INPUTS, hidden: [8], classes: CLASSES }),
    classes: ["a", "b", "c"],
    local: { optimizer: { kind: "sgd", momentum: 0 }, epochs: 2, batchSize: 8, rate: 0.1 },
    augmentation: {},
    strategy: STRATEGIES.fedavg,
    compression: { kind: "none" },
    seed: 1,
    ...more,
  };
}

/** The two-layer network of McMahan et al. 2017, 199,210 parameters, in 8 bits. */
export function largePlan(): FederationPlan {
  return tinyPlan({ network: mlp({ inputs: 784, hidden: [200, 200], classes: 10 }), compression: { kind: "quantize", bits: 8 } });
}

/** With secure aggregation, for three clients at least. */
export function securePlan(more: Partial<FederationPlan> = {}): FederationPlan {
  return tinyPlan({ secure: { ...DEFAULT_SECURE_RULES, minimum: 3, mostSamples: 20 }, ...more });
}

export const ALL_AT_ONCE: RoundRules = { ...DEFAULT_RULES, rounds: 3, share: 1, spare: 1, seconds: 60, restSeconds: 0 };

/** A coordinator with its server, in this process. */
const FREE = { perSecond: 1e6, burst: 1e6 };
/** For tests whose clients say more than others do. */
export const UNLIMITED = { client: FREE, address: FREE } as const satisfies Partial<Limits>;

export interface Running {
  readonly url: string;
  readonly coordinator: Coordinator;
  readonly events: LogEvent[];
  stop(): Promise<void>;
}

type StartOptions = Partial<CoordinatorOptions> & { readonly limits?: Partial<Limits>; readonly behindProxy?: boolean; readonly queue?: string };

/** @param store a file, or with `queue` a database. */
export async function startFederation(store: string, options: StartOptions = {}): Promise<Running> {
  const events: LogEvent[] = [];
  const hooks = { log: (event: LogEvent): void => void events.push(event) };
  const { limits = {}, behindProxy = false, queue, ...more } = options;
  const { database, ...together } = await openStore(store, queue);
  const coordinator = await Coordinator.open(database, { plan: tinyPlan(), rules: ALL_AT_ONCE, keys: KEYS, hooks, ...together, ...more });
  const server = await serveFederation(coordinator, { host: "127.0.0.1", limits, behindProxy, hooks });
  const stop = async (): Promise<void> => {
    await server.stop();
    await coordinator.close();
  };
  return { url: `http://127.0.0.1:${server.port}`, coordinator, events, stop };
}

/** What the federation in a file began with. */
export async function begunWith(path: string): Promise<Record<string, unknown>> {
  const { database } = await openStore(path, undefined);
  const agreed = await (await Store.open(database)).setting("agreed");
  await database.close();
  return JSON.parse(agreed!) as Record<string, unknown>;
}

/** Where a test's federations lie: `start` with the same store goes on with what is there. */
export interface Place {
  newStore(): string;
  start(options?: StartOptions, store?: string): Promise<Running>;
}

const HOUR_MS = 3_600_000;

export function enrolmentToken({ secretKey, publicKey }: ProjectKeys, more: { readonly uses?: number; readonly expires?: number } = {}): string {
  const claims = { project: projectOf(publicKey), id: randomBytes(16).toString("hex"), uses: 10_000, expires: Date.now() + HOUR_MS, ...more };
  return sign("enrolment", claims, secretKey);
}

export function adminToken({ secretKey, publicKey }: ProjectKeys): string {
  return sign("admin", { project: projectOf(publicKey), expires: Date.now() + HOUR_MS }, secretKey);
}

/** What an answer says; null for 204. @throws Refusal as the coordinator sent it. */
async function answered(response: Response): Promise<string | null> {
  const text = await response.text();
  if (response.status === 204) return null;
  if (response.ok) return text;
  // Node itself answers a request that did not come in time, and a proxy what it likes.
  if (response.headers.get("content-type")?.startsWith("application/json") !== true)
    throw new Error(`status ${response.status}: ${text.slice(0, 100)}`);
  const { code, message } = checkedJson(RefusalMessage, text, "the refusal").error;
  throw new Refusal(code, message);
}

/** A client that does what it is told to, one message at a time. */
export class TestClient {
  readonly client: number;
  readonly credential: string;
  private readonly key: string;
  /** Changes when a coordinator comes back at another port. */
  url: string;

  private constructor(url: string, { client, credential, key }: EnrolAnswer) {
    this.url = url;
    this.client = client;
    this.credential = credential;
    this.key = key;
  }

  static async enrol(url: string, token: string, nonce = randomBytes(16).toString("hex")): Promise<TestClient> {
    const response = await fetch(`${url}/v1/enrol`, { method: "POST", body: JSON.stringify({ token, nonce }) });
    return new TestClient(url, checkedJson(EnrolAnswer, (await answered(response))!, "the enrolment"));
  }

  request(path: string, init: RequestInit = {}): Promise<Response> {
    return fetch(`${this.url}${path}`, { ...init, headers: { authorization: `Bearer ${this.credential}` } });
  }

  async task(wait: number): Promise<TaskAnswer | null> {
    const text = await answered(await this.request(`/v1/task?wait=${wait}`));
    return text === null ? null : checkedJson(TaskAnswer, text, "the task");
  }

  /** Parameters and, for SCAFFOLD, the common control variate behind them; signature and digest are checked. */
  async parameters(version: number): Promise<Float32Array> {
    const response = await this.request(`/v1/parameters/${version}`);
    if (!response.ok) await answered(response);
    const manifest = openSigned("manifest", response.headers.get(MANIFEST_HEADER)!, this.key);
    const bytes = new Uint8Array(await response.arrayBuffer());
    if (manifest.version !== version || manifest.sha256 !== sha256Hex(bytes)) throw new Error("the manifest is of other parameters");
    return fromBytes("float32", bytes) as Float32Array;
  }

  async submit(round: number, frame: Uint8Array): Promise<void> {
    await this.send(round, "update", new Uint8Array(frame));
  }

  /** Answers a step of secure aggregation. */
  async send(round: number, step: SecureStep, body: BodyInit): Promise<void> {
    await answered(await this.request(`/v1/rounds/${round}/${step}`, { method: "POST", body }));
  }

  /** What a client is shown for a step of secure aggregation. */
  async shown(round: number, what: "group" | "shares" | "survivors"): Promise<string> {
    return (await answered(await this.request(`/v1/rounds/${round}/${what}`)))!;
  }

  async decline(round: number): Promise<void> {
    await answered(await this.request(`/v1/rounds/${round}/decline`, { method: "POST" }));
  }
}

/** Enrols clients one after the other, so that their numbers are known. */
export async function enrolAll(url: string, count: number): Promise<TestClient[]> {
  const token = enrolmentToken(KEYS);
  const clients: TestClient[] = [];
  for (let i = 0; i < count; i++) clients.push(await TestClient.enrol(url, token));
  return clients;
}

/** The task that each of these clients gets. */
export async function tasksOf(clients: readonly TestClient[]): Promise<Task[]> {
  const answers = await Promise.all(clients.map((client) => client.task(20)));
  return answers.map((answer) => {
    if (answer === null || !("task" in answer)) throw new Error(`no task: ${JSON.stringify(answer)}`);
    return answer.task;
  });
}

export async function statusOf(url: string, keys: ProjectKeys): Promise<StatusAnswer> {
  const response = await fetch(`${url}/v1/status`, { headers: { authorization: `Bearer ${adminToken(keys)}` } });
  return checkedJson(StatusAnswer, (await answered(response))!, "the status");
}

export const sleep = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms));

/** Tries again until the coordinator is there. */
export async function patiently<T>(act: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await act();
    } catch (error) {
      if (error instanceof Refusal && error.reason !== "internal" && error.reason !== "unavailable") throw error;
      await sleep(50);
    }
  }
}

/** Why something was refused, or null where it was not. */
export async function reasonOf(act: Promise<unknown>): Promise<RefusalReason | null> {
  try {
    await act;
    return null;
  } catch (error) {
    if (error instanceof Refusal) return error.reason;
    throw error;
  }
}

/** An uncompressed update that a client and a round give, as a training would, without one. */
export function inventedFrame({ round, version }: Pick<Task, "round" | "version">, client: number, length: number): Uint8Array {
  const random = new Xorshift32(1000 * round + client);
  const delta = Float32Array.from({ length }, () => random.float() - 0.5);
  return encodeUpdate({ round, version, samples: 10 + client, steps: 2, delta: bytesOf(delta) }, { kind: "none" });
}

/** The same with these numbers. */
export function frameOf({ round, version }: Pick<Task, "round" | "version">, delta: Float32Array, samples: number, steps: number): Uint8Array {
  return encodeUpdate({ round, version, samples, steps, delta: bytesOf(delta) }, { kind: "none" });
}
