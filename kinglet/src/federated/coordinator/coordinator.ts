import { createHash } from "node:crypto";
import {
  checkTime,
  type Claims,
  type ClientReport,
  type ClientsAnswer,
  CREDENTIAL_MS,
  type Credential,
  decodeUpdate,
  type EnrolAnswer,
  type EnrolRequest,
  openSigned,
  type ProjectKeys,
  Refusal,
  type RevokeAnswer,
  sign,
  type StatusAnswer,
  type TaskAnswer,
  updateNumbers,
} from "../protocol/index.ts";
import { checkEnough } from "../combine.ts";
import { privacySpent } from "../round.ts";
import type { Database } from "./database.ts";
import type { Hooks } from "./hooks.ts";
import { expulsion, Members } from "./members.ts";
import { Judging, type JudgedOn } from "./judging.ts";
import { AVERAGE, FederatedModel } from "./model.ts";
import { checkRules, type FederationPlan, type RoundRules } from "./plan.ts";
import type { Listener, Seat } from "./presence.ts";
import { type Join, oneProcess, type Processes } from "./processes.ts";
import { RoundLoop, taskOf } from "./round-loop.ts";
import { SecureRequests } from "./secure-requests.ts";
import { type Judgement, Store, type StoredModel, type StoredRound } from "./store.ts";

export interface CoordinatorOptions {
  readonly plan: FederationPlan;
  readonly rules: RoundRules;
  readonly keys: ProjectKeys;
  readonly hooks?: Partial<Hooks>;
  /** How it works together with other processes over the same database; by default there are none. */
  readonly join?: Join;
  /** Versions are judged on it. */
  readonly judgedOn?: JudgedOn;
}

/** How a process is. Without its queue it still takes updates, and knows of no other process. */
export interface Health {
  readonly healthy: boolean;
  readonly queue?: boolean;
}

/** Checking a signature takes milliseconds, and the same texts are shown again and again. */
const MOST_KNOWN_TEXTS = 20_000;
const REPORTED_ROUNDS = 20;

/**
 * The coordinator of a federation, without its network: who takes part, what they are asked, and what becomes of their updates. Whatever it has
 * acknowledged is in the database; a message that it refuses has changed nothing.
 */
export class Coordinator {
  readonly model: FederatedModel;
  /** For federations with secure aggregation. */
  readonly secure: SecureRequests | undefined;
  /** Signed. */
  readonly description: string;
  private readonly options: CoordinatorOptions;
  private readonly store: Store;
  private readonly members: Members;
  private readonly hooks: Hooks;
  private readonly processes: Processes;
  private readonly judging: Judging | undefined;
  private readonly known = new Map<string, Claims<"credential" | "enrolment">>();

  private constructor(
    options: CoordinatorOptions,
    parts: { model: FederatedModel; store: Store; members: Members; processes: Processes; judging: Judging | undefined; hooks: Hooks },
  ) {
    const { model, store, members, processes, judging, hooks } = parts;
    this.options = options;
    this.model = model;
    this.store = store;
    this.members = members;
    this.hooks = hooks;
    this.processes = processes;
    this.judging = judging;
    this.description = sign("description", model.description, options.keys.secretKey);
    const around = { store: store.secure, form: model.form, now: hooks.now, onAnswer: () => processes.wake() };
    this.secure = options.plan.secure === undefined ? undefined : new SecureRequests(around);
  }

  /**
   * Begins a federation, or goes on with the one in the database, which is closed with the coordinator.
   * @throws KingletError `misuse` for plans and rules that cannot be, or where the database holds another federation.
   */
  static async open(database: Database, options: CoordinatorOptions): Promise<Coordinator> {
    const hooks: Hooks = { now: Date.now, log: () => {}, ...options.hooks };
    let processes: Processes | undefined;
    let judging: Judging | undefined;
    try {
      checkRules(options.rules);
      // Of fewer updates a round would never become a version.
      checkEnough(options.plan.strategy.combination, options.rules.minimum);
      const model = new FederatedModel(options.plan, options.keys);
      const store = await Store.open(database);
      await store.begin(model.agreed(), model.first(hooks.now()));
      // A federation that was to go on for longer by now is not finished.
      if ((await store.newestVersion()) < options.rules.rounds) await store.forget("finished");
      processes = await (options.join ?? oneProcess)(await store.federation(), hooks);
      const { plan, rules, judgedOn } = options;
      if (judgedOn !== undefined) judging = await Judging.open({ store, model, hooks }, judgedOn);
      const onVersion = (): void => judging?.wake();
      await new RoundLoop({ store, model, processes, plan, rules, hooks, onVersion }).begin();
      return new Coordinator(options, { model, store, members: new Members(database), processes, judging, hooks });
    } catch (error) {
      await processes?.stop();
      await judging?.stop();
      await database.close();
      throw error;
    }
  }

  async close(): Promise<void> {
    await this.processes.stop();
    await this.judging?.stop();
    await this.store.close();
  }

  /** The project's public one. */
  get key(): string {
    return this.options.keys.publicKey;
  }

  /** Whether the store answers, and whether other processes, where there may be some, can be reached. */
  async health(): Promise<Health> {
    const store = await this.store.newestVersion().then(
      () => true,
      () => false,
    );
    const queue = this.processes.reached();
    return { healthy: store, ...(queue === null ? {} : { queue }) };
  }

  /** Of clients to this process. */
  get connections(): number {
    return this.processes.presence.here().connections;
  }

  /** `openSigned`, once for each text. */
  private opened<P extends "credential" | "enrolment">(purpose: P, text: string): Claims<P> {
    const key = `${purpose} ${text}`;
    const before = this.known.get(key) as Claims<P> | undefined;
    if (before !== undefined) return before;
    const claims = openSigned(purpose, text, this.options.keys.publicKey);
    if (this.known.size >= MOST_KNOWN_TEXTS) this.known.clear();
    this.known.set(key, claims);
    return claims;
  }

  /** @throws Refusal `malformed`, `wrong-project`, `unauthorized`, `expired`, `revoked` or `used-up`. */
  async enrol({ token, nonce }: EnrolRequest): Promise<EnrolAnswer> {
    const claims = this.opened("enrolment", token);
    const now = this.hooks.now();
    checkTime(claims, now, "enrolment token");
    const client = await this.store.enrol(claims, nonce, now);
    const credential = this.credentialOf({ client, nonce });
    this.hooks.log({ event: "enrolled", level: "info", client });
    return { client, project: this.model.description.project, key: this.key, credential };
  }

  /** Whether somebody may look at the project who has not enrolled yet. @throws Refusal as `enrol`, but for `used-up`. */
  async checkGuest(token: string): Promise<void> {
    const claims = this.opened("enrolment", token);
    checkTime(claims, this.hooks.now(), "enrolment token");
    await this.members.checkToken(claims.id);
  }

  private credentialOf({ client, nonce }: Pick<Credential, "client" | "nonce">): string {
    const { project } = this.model.description;
    return sign("credential", { project, client, nonce, expires: this.hooks.now() + CREDENTIAL_MS }, this.options.keys.secretKey);
  }

  /** The client of a credential. @throws Refusal `malformed`, `wrong-project`, `unauthorized`, `expired` or `expelled`. */
  async identify(credential: string): Promise<number> {
    return (await this.credentialClaims(credential)).client;
  }

  private async credentialClaims(credential: string): Promise<Credential> {
    const claims = this.opened("credential", credential);
    checkTime(claims, this.hooks.now(), "credential", "enrol again with a token");
    await this.members.check(claims);
    return claims;
  }

  /** A new credential of the same client; the old one goes on until its own end. @throws Refusal as `identify`. */
  async renew(credential: string): Promise<string> {
    return this.credentialOf(await this.credentialClaims(credential));
  }

  /** @throws Refusal as `identify`. */
  checkAdmin(token: string): void {
    checkTime(openSigned("admin", token, this.options.keys.publicKey), this.hooks.now(), "admin token");
  }

  /** @throws Refusal `not-found` for versions that are not yet, or not any more. */
  async version(version: number): Promise<StoredModel> {
    const found = await this.store.model(version);
    if (found === null) throw new Refusal("not-found", `there is no version ${version} here`);
    return found;
  }

  /** Takes a connection of a client in; what it is to hear goes to `listener`. @throws what `Presence.sit` throws. */
  sit(client: number, listener: Listener): Seat {
    return this.processes.presence.sit(client, listener);
  }

  /** What a client is to do now; null to wait. */
  async taskFor(client: number): Promise<TaskAnswer | null> {
    const round = await this.store.taskOf(client);
    if (round !== null) return { task: taskOf(round, client, this.options.plan.seed) };
    const finished = await this.store.setting("finished");
    return finished === null ? null : { finished: { version: Number(finished) } };
  }

  /** Keeps an update; it is durable before this resolves. @throws Refusal for whatever is wrong with it, or with who sends it when. */
  async submit(client: number, round: number, frame: Uint8Array): Promise<void> {
    if (this.secure !== undefined) return await this.secure.answer("update", { client, round, body: frame });
    const decoded = decodeUpdate(frame, this.model.form);
    if (decoded.round !== round) throw new Refusal("malformed", `the update is of round ${decoded.round}, not ${round}`);
    updateNumbers(decoded, this.model.form);
    const digest = createHash("sha256").update(frame).digest("hex");
    await this.store.accept({ round, client, version: decoded.version, digest, frame }, this.hooks.now());
    this.processes.wake();
  }

  /** @throws Refusal where the client was not asked, or has answered. */
  async decline(client: number, round: number): Promise<void> {
    await this.store.decline(client, round, this.hooks.now());
    this.processes.wake();
  }

  /** Clients with higher numbers than `after`, in their order. */
  clients(after: number): Promise<ClientsAnswer> {
    return this.members.list(after);
  }

  /**
   * Shuts a client out. Its open task counts as declined; an update that the open round has of it is left out. @throws Refusal `not-found`.
   */
  async expel(client: number): Promise<ClientReport> {
    const report = await this.members.expel(client, this.hooks.now());
    this.hooks.log({ event: "expelled", level: "warn", client });
    this.processes.presence.tell(client, { type: "refused", ...expulsion(client).toJSON() });
    this.processes.wake();
    return report;
  }

  /** Lets nobody enrol any more with the token of this id. */
  async revoke(token: string): Promise<RevokeAnswer> {
    const enrolled = await this.members.revoke(token, this.hooks.now());
    this.hooks.log({ event: "revoked", level: "warn", token, enrolled });
    return { token, enrolled };
  }

  /** Begins no more rounds until `resume`; an open one goes on. */
  async pause(): Promise<void> {
    await this.store.set("paused", "true");
    this.hooks.log({ event: "paused", level: "info" });
  }

  async resume(): Promise<void> {
    await this.store.set("paused", "false");
    this.hooks.log({ event: "resumed", level: "info" });
    this.processes.wake();
  }

  /** The newest version, or the average up to it where the strategy keeps one, as a `.kinglet` file. */
  async export(): Promise<Uint8Array> {
    const { model, remembered } = await this.store.newest(AVERAGE);
    return this.model.export(this.model.weightsOf(model, remembered));
  }

  async status(): Promise<StatusAnswer> {
    const { store } = this;
    const { plan, rules } = this.options;
    const { presence } = this.processes;
    // Where the other processes cannot be asked: who is here.
    const { ready, connections } = await presence.everybody().catch(() => presence.here());
    const [{ enrolled }, { length: welcome }] = [await store.clientCounts(), await store.welcome(ready)];
    const [version, closed, rounds] = [await store.newestVersion(), await store.closedRounds(), await store.rounds(REPORTED_ROUNDS)];
    const judgements = await store.judgements(REPORTED_ROUNDS);
    const finished = (await store.setting("finished")) !== null;
    const paused = (await store.setting("paused")) === "true";
    const { project, name } = this.model.description;
    return {
      project,
      name,
      version,
      goal: rules.rounds,
      state: finished ? "finished" : paused ? "paused" : "learning",
      clients: { enrolled, ready: welcome, connections },
      ...(plan.privacy === undefined ? {} : { epsilon: privacySpent(plan.privacy, closed.share, closed.count) }),
      ...(judgements.length === 0 ? {} : { judged: judgements[0]! }),
      rounds: await Promise.all(rounds.map((round) => this.reportOf(round, judgements))),
    };
  }

  private async reportOf(stored: StoredRound, judgements: readonly Judgement[]): Promise<StatusAnswer["rounds"][number]> {
    const { round, version, status, opened, deadline, ended, wanted, selected, ready } = stored;
    const { answered, declined, bytes } = await this.store.counts(round);
    const judged = status === "closed" ? judgements.find((each) => each.version === version + 1) : undefined;
    const report = { round, version, status, opened, deadline, ended, wanted, selected, ready, answered, declined, bytes };
    return judged === undefined ? report : { ...report, accuracy: judged.accuracy };
  }
}
