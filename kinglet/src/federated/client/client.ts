import { bytesOf, KingletError } from "../../base/index.ts";
import { correctionOf, rateAt, sentUpdate } from "../client-round.ts";
import type { LocalStart } from "../local.ts";
import { type Description, encodeUpdate, placeOfTask, Refusal, type RefusalReason, SECURE_STEPS, type Task } from "../protocol/index.ts";
import { CoordinatorApi } from "./api.ts";
import { type Conditions, type Readings, unmetConditions } from "./conditions.ts";
import { Connection, type TransportChoice } from "./connection.ts";
import type { Learned, Learner } from "./learner.ts";
import { Membership, type MembershipOptions, neededToken, refusedMember, refusedToken } from "./membership.ts";
import type { Unheard } from "./memory-file.ts";
import { checkStop, patiently, pause } from "./patience.ts";
import { RoundMemory } from "./round-memory.ts";
import { SecureParticipation } from "./secure-participation.ts";
import type { Socket } from "./transport.ts";

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

export interface ClientOptions extends MembershipOptions {
  /** Default "auto". */
  readonly transport?: TransportChoice;
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

/** What the rounds of a client need, once it has begun. */
interface Begun {
  readonly api: CoordinatorApi;
  readonly membership: Membership;
  readonly description: Description;
  readonly learner: Learner;
  readonly memory: RoundMemory;
}

const CONDITION_MS = 30_000;
/** A learner that failed so often in a row will fail again. */
const MOST_FAILURES = 3;
/** The round has gone on, which is nobody's fault. */
const PASSED: readonly RefusalReason[] = ["late", "not-selected", "already-answered", "not-found"];

function hasPassed(error: unknown): boolean {
  return error instanceof Refusal && PASSED.includes(error.reason);
}

/** Of who sends and not of what was sent: whether that had arrived before is as unknown as it was. */
const OF_THE_CLIENT: readonly RefusalReason[] = ["unauthorized", "expired", "expelled"];

function isLastStep({ step }: Task): boolean {
  return step === undefined || step === SECURE_STEPS.at(-1);
}

/** What a client does with its options from the beginning to the end. */
class Run {
  readonly options: ClientOptions;
  readonly platform: Platform;
  readonly signal: AbortSignal;

  constructor(options: ClientOptions, platform: Platform) {
    this.options = options;
    this.platform = platform;
    this.signal = options.signal ?? new AbortController().signal;
  }

  tell(event: ClientEvent): void {
    this.options.onEvent?.(event);
  }

  readonly patiently = <T>(work: () => Promise<T>): Promise<T> =>
    patiently(work, this.signal, (why, waitMs) => this.tell({ event: "disconnected", why, waitMs }));

  async unmet(): Promise<keyof Conditions | undefined> {
    return (await unmetConditions(this.options.when ?? {}, this.platform.readings))[0];
  }
}

async function begun(url: string, make: MakeLearner, run: Run): Promise<Begun> {
  const { options, patiently: patient } = run;
  const api = new CoordinatorApi(url, run.signal);
  const kept = await Membership.kept(options);
  const who = kept?.identity ?? { token: neededToken(options) };
  const description = await patient(() => api.description(who)).catch(kept === null ? refusedToken : refusedMember);
  const network = await patient(() => api.network(who, description));
  // Before it enrols: whoever cannot learn from its samples must not use up a place.
  const learner = await make(network, description);
  try {
    if (learner.length !== description.length)
      throw new KingletError("bad-input", `the learner has ${learner.length} parameters, and the project ${description.length}`);
    const membership = kept ?? (await Membership.enrol(api, options, patient));
    if (kept === null) run.tell({ event: "enrolled", client: membership.identity.client });
    return { api, membership, description, learner, memory: await RoundMemory.open(membership.nonce, options.store) };
  } catch (error) {
    await learner.close();
    throw error;
  }
}

/**
 * Takes part in a federation until it has finished. Samples are the learner's own affair.
 * @throws KingletError `interrupted` where the signal says so; `Refusal` where the coordinator does not want this client, or shows what its
 * project did not sign; what `make` and three trainings in a row throw.
 */
export async function takePart(url: string, make: MakeLearner, options: ClientOptions, platform: Platform): Promise<Participation> {
  const run = new Run(options, platform);
  const client = await begun(url, make, run);
  try {
    return await new ClientRounds(client, run).loop();
  } finally {
    await client.learner.close();
  }
}

/** A client's rounds: it waits for tasks, has its learner train, and sends what was learned. */
class ClientRounds {
  private readonly begun: Begun;
  private readonly run: Run;
  private readonly connection: Connection;
  private accepted = 0;
  private readonly secure: SecureParticipation | undefined;
  private failures = 0;
  /** The last task that was answered (`placeOfTask`). */
  private answered = 0;
  /** The round that goes on, and how to give it up. */
  private current: { readonly round: number; readonly stop: AbortController } | undefined;

  constructor(client: Begun, run: Run) {
    const { api, membership, description } = client;
    this.begun = client;
    this.run = run;
    if (description.secure !== undefined) this.secure = new SecureParticipation(api, membership, description.secure, run.patiently);
    const openSocket = run.options.transport === "poll" ? undefined : run.platform.openSocket;
    this.connection = new Connection(api, membership, openSocket, (round) => {
      if (this.current?.round === round) this.current.stop.abort();
    });
  }

  async loop(): Promise<Participation> {
    const { run, connection } = this;
    const { learner, membership } = this.begun;
    run.tell({ event: "ready", samples: learner.samples, memoryBytes: learner.memoryBytes });
    const leave = (): void => connection.leave();
    run.signal.addEventListener("abort", leave);
    try {
      const version = await this.rounds();
      return { client: membership.identity.client, rounds: this.accepted, version };
    } finally {
      run.signal.removeEventListener("abort", leave);
      connection.leave();
    }
  }

  /** Until the federation has finished; gives its version. */
  private async rounds(): Promise<number> {
    const { run, connection } = this;
    const { api, membership, memory } = this.begun;
    let told: string | undefined;
    for (;;) {
      const missing = await run.unmet();
      const waitsFor = missing ?? "task";
      if (waitsFor !== told) run.tell({ event: "waiting", for: waitsFor });
      told = waitsFor;
      if (missing !== undefined) {
        connection.leave();
        await pause(CONDITION_MS, run.signal);
        continue;
      }
      await membership.renewInTime(api, run.patiently);
      const { unheard } = memory;
      if (unheard !== undefined) await this.unlessPassed(unheard.round, () => this.deliver(unheard));
      const answer = await run.patiently(() => connection.next(run.signal));
      if (answer === null) continue;
      if ("finished" in answer) return answer.finished.version;
      // A task may be told twice.
      if (placeOfTask(answer.task) <= this.answered) continue;
      await this.work(answer.task);
      // Between the steps of a round nobody need be told.
      if (isLastStep(answer.task)) told = undefined;
    }
  }

  private async work(task: Task): Promise<void> {
    const { run } = this;
    const { round } = task;
    const stop = new AbortController();
    const stopAll = (): void => stop.abort();
    run.signal.addEventListener("abort", stopAll);
    this.current = { round, stop };
    try {
      await this.unlessPassed(round, async () => {
        const missing = await run.unmet();
        if (missing === undefined) await (task.step === undefined || task.step === "keys" ? this.answer(task, stop.signal) : this.goOn(task));
        else await this.decline(round, `it is not ${missing}`);
      });
    } finally {
      run.signal.removeEventListener("abort", stopAll);
      this.current = undefined;
      this.answered = placeOfTask(task);
    }
  }

  /** Does a round's work, if the round does not go on without this client. */
  private async unlessPassed(round: number, work: () => Promise<void>): Promise<void> {
    const { run } = this;
    try {
      await work();
    } catch (error) {
      checkStop(run.signal);
      if (this.current?.stop.signal.aborted !== true && !hasPassed(error)) throw error;
      run.tell({ event: "left out", round, why: "it is over" });
    }
  }

  private async decline(round: number, why: string): Promise<void> {
    const { api, membership } = this.begun;
    await this.run.patiently(() => api.decline(membership.identity, round));
    this.run.tell({ event: "left out", round, why });
  }

  /** A later step of secure aggregation. Whatever is wrong there ends this round for this client, and only this round: others may be to blame. */
  private async goOn(task: Task): Promise<void> {
    const { round } = task;
    try {
      const bytes = await this.steps().goOn(task);
      if (bytes !== undefined) this.sent(round, bytes);
    } catch (error) {
      if (!(error instanceof KingletError) || hasPassed(error) || error.code === "interrupted") throw error;
      await this.decline(round, error.message);
    }
  }

  private steps(): SecureParticipation {
    if (this.secure === undefined) throw new KingletError("bad-input", "the coordinator asks for secure aggregation, which its project did not sign");
    return this.secure;
  }

  private sent(round: number, bytes: number): void {
    this.accepted++;
    this.run.tell({ event: "sent", round, bytes });
  }

  private async answer(task: Task, signal: AbortSignal): Promise<void> {
    const { round, version, seed } = task;
    const { api, membership, description, memory } = this.begun;
    membership.checkNewest(version);
    const { parameters, control } = await this.run.patiently(() => api.version(membership.identity, version, description));
    await membership.saw(version);
    this.run.tell({ event: "training", round, version });
    const correction = description.control ? { correction: correctionOf(control, memory.memory, parameters.length) } : {};
    const place = { seed, round, rate: rateAt(description.local, version), ...correction };
    const learned = await this.trained({ parameters, ...place }, signal);
    if (learned === undefined) return;
    if (this.secure !== undefined) return await this.secure.begin(task, learned);
    const how = { compression: description.compression, ...place };
    const { sent, control: moved, memory: after } = sentUpdate(learned, memory.memory, how);
    const { samples, steps } = learned;
    const update = { round, version, samples, steps, delta: sent.bytes, ...(moved === undefined ? {} : { control: bytesOf(moved) }) };
    const unheard = { round, frame: encodeUpdate(update, description.compression), memory: after };
    await memory.sending(unheard);
    await this.deliver(unheard);
  }

  /** Until it is acknowledged, or refused. */
  private async deliver({ round, frame }: Pick<Unheard, "round" | "frame">): Promise<void> {
    const { api, membership, memory } = this.begun;
    try {
      await this.run.patiently(() => api.submit(membership.identity, round, frame));
    } catch (error) {
      if (error instanceof Refusal && !OF_THE_CLIENT.includes(error.reason)) await memory.refused();
      throw error;
    }
    await memory.arrived();
    this.sent(round, frame.length);
  }

  /** What the learner learned; undefined where it could not, and the round was declined. */
  private async trained(start: LocalStart, signal: AbortSignal): Promise<Learned | undefined> {
    try {
      const learned = await this.begun.learner.train(start, signal);
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
