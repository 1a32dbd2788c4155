import * as v from "valibot";
import { bytesOf, KingletError } from "../../base/index.ts";
import { type ClientMemory, correctionOf, sentUpdate } from "../client-round.ts";
import {
  checkedJson,
  type Description,
  encodeUpdate,
  EnrolAnswer,
  Refusal,
  type RefusalReason,
  type Task,
  type TaskAnswer,
} from "../protocol/index.ts";
import { CoordinatorApi, type Identity } from "./api.ts";
import { type Conditions, type Readings, unmetConditions } from "./conditions.ts";
import type { LocalStart } from "../local.ts";
import type { Learned, Learner } from "./learner.ts";
import { checkStop, patiently, pause } from "./patience.ts";
import { PollingTransport, type Socket, SocketTransport, type Transport } from "./transport.ts";

/** What a client does, for whoever looks on. */
export type ClientEvent =
  | { readonly event: "enrolled"; readonly client: number }
  /** Planned bytes of a training step. */
  | { readonly event: "ready"; readonly samples: number; readonly memoryBytes: number }
  | { readonly event: "waiting"; readonly for: "task" | keyof Conditions }
  | { readonly event: "training"; readonly round: number; readonly version: number }
  | { readonly event: "sent"; readonly round: number; readonly bytes: number }
  /** The round goes on without this client. */
  | { readonly event: "left out"; readonly round: number; readonly why: string }
  | { readonly event: "disconnected"; readonly why: string; readonly waitMs: number };

/** A place for a short text that outlives the program, so that a client stays the same one. */
export interface IdentityStore {
  load(): Promise<string | null>;
  save(text: string): Promise<void>;
}

export interface ClientOptions {
  /** An enrolment token; needed the first time. */
  readonly token?: string;
  /** The project's public key, where it is known: another project's coordinator is then refused. */
  readonly key?: string;
  readonly store?: IdentityStore;
  /** A socket and, where none opens, long polls; or these alone. */
  readonly transport?: "auto" | "poll";
  readonly when?: Conditions;
  readonly onEvent?: (event: ClientEvent) => void;
  /** Ends it. */
  readonly signal?: AbortSignal;
}

/** What a page and Node have each in its own way. */
export interface Platform {
  readonly openSocket: (url: string) => Promise<Socket>;
  readonly readings: Readings;
}

/** Makes a client's learner, once the network is known to be the project's. */
export type MakeLearner = (network: Uint8Array, description: Description) => Promise<Learner>;

/** How it ended. */
export interface Participation {
  readonly client: number;
  /** Rounds that this client's update was accepted in. */
  readonly rounds: number;
  /** The version with which the federation finished. */
  readonly version: number;
}

/** The identity, and the newest version that this client has seen. */
const Kept = v.object({ ...EnrolAnswer.entries, newest: v.number() });

const CONDITION_MS = 30_000;
/** A learner that failed so often in a row will fail again. */
const MOST_FAILURES = 3;
/** The round has gone on, which is nobody's fault. */
const PASSED: readonly RefusalReason[] = ["late", "not-selected", "already-answered", "not-found"];

function hasPassed(error: unknown): boolean {
  return error instanceof Refusal && PASSED.includes(error.reason);
}

/** A client of a federation: it waits for tasks, has a learner train, and sends what was learned. Samples are the learner's own affair. */
export class FederationClient {
  private readonly options: ClientOptions;
  private readonly platform: Platform;
  private readonly api: CoordinatorApi;
  private readonly signal: AbortSignal;
  private identity!: Identity;
  private description!: Description;
  private learner!: Learner;
  private transport: Transport | undefined;
  private memory: ClientMemory = {};
  private newest = 0;
  private accepted = 0;
  private failures = 0;
  /** The last round that was answered, and how to give up the one that goes on. */
  private answered = 0;
  private current: { readonly round: number; readonly stop: AbortController } | undefined;

  private constructor(url: string, options: ClientOptions, platform: Platform) {
    this.options = options;
    this.platform = platform;
    this.signal = options.signal ?? new AbortController().signal;
    this.api = new CoordinatorApi(url, this.signal);
  }

  /**
   * Takes part until the federation has finished.
   * @throws KingletError `interrupted` where the signal says so; `Refusal` where the coordinator does not want this client, or shows what its
   * project did not sign; what `make` and three trainings in a row throw.
   */
  static async run(url: string, make: MakeLearner, options: ClientOptions, platform: Platform): Promise<Participation> {
    const client = new FederationClient(url, options, platform);
    const leave = (): void => client.transport?.close();
    client.signal.addEventListener("abort", leave);
    try {
      await client.begin(make);
      return await client.loop();
    } finally {
      client.signal.removeEventListener("abort", leave);
      client.transport?.close();
      // There is none where `begin` failed.
      await (client.learner as Learner | undefined)?.close();
    }
  }

  private tell(event: ClientEvent): void {
    this.options.onEvent?.(event);
  }

  private patiently<T>(work: () => Promise<T>): Promise<T> {
    return patiently(work, this.signal, (why, waitMs) => this.tell({ event: "disconnected", why, waitMs }));
  }

  private async enrol(): Promise<Identity> {
    const { token, key } = this.options;
    if (token === undefined) throw new KingletError("misuse", "a client that is new needs an enrolment token");
    const nonce = Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
    const identity = await this.patiently(() => this.api.enrol(token, nonce, key));
    this.tell({ event: "enrolled", client: identity.client });
    return identity;
  }

  private async begin(make: MakeLearner): Promise<void> {
    const { key, store } = this.options;
    const text = (await store?.load()) ?? null;
    const kept = text === null ? undefined : checkedJson(Kept, text, "what this client has kept");
    if (kept !== undefined && key !== undefined && kept.key !== key)
      throw new KingletError("misuse", "this client is enrolled in another project", { hint: "Keep each project's identity in its own place." });
    this.newest = kept?.newest ?? 0;
    this.identity = kept ?? (await this.enrol());
    await this.keep();
    this.description = await this.patiently(() => this.api.description(this.identity));
    const network = await this.patiently(() => this.api.network(this.identity, this.description));
    const learner = await make(network, this.description);
    this.learner = learner;
    if (learner.length !== this.description.length)
      throw new KingletError("bad-input", `the learner has ${learner.length} parameters, and the project ${this.description.length}`);
    this.tell({ event: "ready", samples: learner.samples, memoryBytes: learner.memoryBytes });
  }

  private async keep(): Promise<void> {
    await this.options.store?.save(JSON.stringify({ ...this.identity, newest: this.newest }));
  }

  private async connected(): Promise<Transport> {
    const { api, identity, platform } = this;
    if (this.options.transport === "poll") return new PollingTransport(api, identity);
    const onClosed = (round: number): void => {
      if (this.current?.round === round) this.current.stop.abort();
    };
    try {
      return await SocketTransport.open(await platform.openSocket(api.socketUrl), identity, onClosed);
    } catch (error) {
      if (error instanceof Refusal) throw error;
      return new PollingTransport(api, identity);
    }
  }

  private async nextAnswer(): Promise<TaskAnswer | null> {
    return await this.patiently(async () => {
      this.transport ??= await this.connected();
      checkStop(this.signal);
      try {
        return await this.transport.next();
      } catch (error) {
        this.transport.close();
        this.transport = undefined;
        throw error;
      }
    });
  }

  private async unmet(): Promise<keyof Conditions | undefined> {
    return (await unmetConditions(this.options.when ?? {}, this.platform.readings))[0];
  }

  private async loop(): Promise<Participation> {
    for (;;) {
      const missing = await this.unmet();
      this.tell({ event: "waiting", for: missing ?? "task" });
      if (missing !== undefined) {
        // Who is not connected is not asked.
        this.transport?.close();
        this.transport = undefined;
        await pause(CONDITION_MS, this.signal);
        continue;
      }
      const answer = await this.nextAnswer();
      if (answer === null) continue;
      if ("finished" in answer) return { client: this.identity.client, rounds: this.accepted, version: answer.finished.version };
      // A task may be told twice.
      if (answer.task.round > this.answered) await this.work(answer.task);
    }
  }

  private async work(task: Task): Promise<void> {
    const { round } = task;
    const stop = new AbortController();
    const stopAll = (): void => stop.abort();
    this.signal.addEventListener("abort", stopAll);
    this.current = { round, stop };
    try {
      const missing = await this.unmet();
      if (missing === undefined) await this.answer(task, stop.signal);
      else await this.decline(round, `it is not ${missing}`);
    } catch (error) {
      checkStop(this.signal);
      if (stop.signal.aborted || hasPassed(error)) this.tell({ event: "left out", round, why: "it is over" });
      else throw error;
    } finally {
      this.signal.removeEventListener("abort", stopAll);
      this.current = undefined;
      this.answered = round;
    }
  }

  private async decline(round: number, why: string): Promise<void> {
    await this.patiently(() => this.api.decline(this.identity, round));
    this.tell({ event: "left out", round, why });
  }

  private async answer(task: Task, signal: AbortSignal): Promise<void> {
    const { round, version, seed } = task;
    const { identity, description, api } = this;
    if (version < this.newest)
      throw new Refusal("unauthorized", `the coordinator goes back to version ${version}, and this client has seen ${this.newest}`);
    const { parameters, control } = await this.patiently(() => api.version(identity, version, description));
    this.newest = version;
    await this.keep();
    this.tell({ event: "training", round, version });
    const correction = description.control ? { correction: correctionOf(control, this.memory, parameters.length) } : {};
    const place = { seed, round, ...correction };
    const learned = await this.trained({ parameters, ...place }, signal);
    if (learned === undefined) return;
    const { samples, steps } = learned;
    const how = { compression: description.compression, rate: description.local.rate, ...place };
    const { sent, control: moved, memory } = sentUpdate(learned, this.memory, how);
    const update = { round, version, samples, steps, delta: sent.bytes, ...(moved === undefined ? {} : { control: bytesOf(moved) }) };
    const frame = encodeUpdate(update, description.compression);
    await this.patiently(() => api.submit(identity, round, frame));
    this.memory = memory;
    this.accepted++;
    this.tell({ event: "sent", round, bytes: frame.length });
  }

  /** What the learner learned; undefined where it could not, and the round was declined. */
  private async trained(start: LocalStart, signal: AbortSignal): Promise<Learned | undefined> {
    try {
      const learned = await this.learner.train(start, signal);
      this.failures = 0;
      return learned;
    } catch (error) {
      this.failures++;
      if (signal.aborted || !(error instanceof KingletError) || this.failures === MOST_FAILURES) throw error;
      await this.decline(start.round, error.message);
      return undefined;
    }
  }
}
