import { randomInt } from "node:crypto";
import { KingletError } from "../../base/index.ts";
import type { Privacy } from "../privacy.ts";
import type { SecureStep, Task } from "../protocol/index.ts";
import { privacySpent } from "../round.ts";
import { MOST_CLIENTS } from "../secure/index.ts";
import type { Hooks } from "./hooks.ts";
import type { FederatedModel, NextVersion } from "./model.ts";
import type { FederationPlan, RoundRules } from "./plan.ts";
import type { Presence } from "./presence.ts";
import { secureRoundMean, stepAfter, stepVerdict } from "./secure-round.ts";
import type { Frames, RoundCounts, Store, StoredRound } from "./store.ts";

/**
 * What becomes of an open round. With privacy it waits for everybody who was asked: if the first answers ended it, whether one client takes
 * part would decide whether another one does, and a client could change the sum by more than the one length that is counted.
 */
export function verdict(
  round: StoredRound,
  { asked, answered }: RoundCounts,
  { minimum, isPrivate }: { readonly minimum: number; readonly isPrivate: boolean },
  now: number,
): "wait" | "close" | "give up" {
  const over = (answered >= round.wanted && !isPrivate) || asked === 0 || now >= round.deadline;
  if (!over) return "wait";
  return answered >= minimum ? "close" : "give up";
}

/** So many clients of those who are ready are asked, for so many updates. */
export function roundSize({ share, minimum, spare }: RoundRules, ready: number): { readonly wanted: number; readonly selected: number } {
  const wanted = Math.min(ready, Math.max(minimum, Math.round(share * ready)));
  return { wanted, selected: Math.min(ready, Math.ceil(wanted * spare)) };
}

/** Whoever answers beyond those who are wanted counts with privacy and with secure aggregation, so none is asked to spare. */
function sizeRules({ privacy, secure }: FederationPlan, rules: RoundRules, ready: number): RoundRules {
  if (secure === undefined) return privacy === undefined ? rules : { ...rules, spare: 1 };
  return { ...rules, spare: 1, minimum: Math.max(rules.minimum, secure.minimum), share: Math.min(rules.share, MOST_CLIENTS / ready) };
}

/** `count` of the clients, drawn so that nobody can guess whom. */
function draw(clients: readonly number[], count: number): number[] {
  const left = [...clients];
  return Array.from({ length: count }, () => left.splice(randomInt(left.length), 1)[0]!).sort((a, b) => a - b);
}

/** Each client by itself, `count` of them on average and sometimes none: the drawing for which the accountant counts privacy. */
export function drawEach(clients: readonly number[], count: number): number[] {
  return clients.filter(() => randomInt(clients.length) < count);
}

/** The task of a client in a round. */
export function taskOf({ round, version, deadline, step }: StoredRound, client: number, seed: number): Task {
  return { round, version, deadline, seed: seed * 1_000_003 + client, ...(step === null ? {} : { step }) };
}

interface Around {
  readonly store: Store;
  readonly model: FederatedModel;
  readonly presence: Presence;
  readonly plan: FederationPlan;
  readonly rules: RoundRules;
  readonly hooks: Hooks;
}

const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** Carries the rounds on. All that it knows lies in the store, so whoever wakes it after a restart finds everything as it was. */
export class RoundLoop {
  private readonly around: Around;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private running: Promise<void> | undefined;
  private again = false;
  private stopped = false;
  /** No round begins before. */
  private restUntil = 0;

  constructor(around: Around) {
    this.around = around;
  }

  /** An open round has the time of a whole one from now on: that nobody was here is not its clients' fault. */
  async begin(): Promise<void> {
    const { store } = this.around;
    const open = await store.openRound();
    if (open !== null) await store.setDeadline(open.round, this.latestDeadline(open.step));
    this.wake();
  }

  /** Of a round, or a later step of one, that begins now. */
  private latestDeadline(step: SecureStep | null): number {
    const { rules, hooks } = this.around;
    return hooks.now() + Math.ceil(1000 * (step === null || step === "keys" ? rules.seconds : rules.stepSeconds));
  }

  /** Something has changed: looks what is to do, one look at a time. */
  wake(): void {
    if (this.stopped) return;
    this.again = true;
    this.running ??= this.run().finally(() => (this.running = undefined));
  }

  private async run(): Promise<void> {
    // Whoever wakes in the same moment is served by the same look.
    await new Promise((done) => setImmediate(done));
    while (this.again && !this.stopped) {
      this.again = false;
      try {
        await this.advance();
      } catch (error) {
        this.around.hooks.log({ event: "round failed", level: "error", message: error instanceof Error ? error.message : String(error) });
        this.sleep(1000 * Math.max(1, this.around.rules.restSeconds));
      }
    }
  }

  async stop(): Promise<void> {
    this.stopped = true;
    clearTimeout(this.timer);
    await this.running;
  }

  private sleep(ms: number): void {
    clearTimeout(this.timer);
    if (!this.stopped) this.timer = setTimeout(() => this.wake(), Math.min(LONGEST_TIMER_MS, Math.max(1, ms)));
  }

  private async advance(): Promise<void> {
    const { store, hooks } = this.around;
    const open = await store.openRound();
    if (open === null) return await this.beginRound();
    const counts = await store.counts(open.round);
    const what = await this.verdict(open, counts);
    if (what === "wait") {
      // Where the clock was set back, the round must not last as much longer.
      const deadline = Math.min(open.deadline, this.latestDeadline(open.step));
      if (deadline < open.deadline) await store.setDeadline(open.round, deadline);
      this.sleep(deadline - hooks.now());
    }
    if (what === "go on") await this.beginStep(open, stepAfter(open.step!));
    if (what === "close") await this.closeRound(open, counts);
    if (what === "give up") await this.giveUp(open, this.tooFew(open, counts));
  }

  private tooFew({ step }: StoredRound, { answered }: RoundCounts): string {
    if (step === null) return `${answered} of at least ${this.around.rules.minimum} updates came`;
    return `too few clients are left: ${answered} answered with their ${step}`;
  }

  private async verdict(open: StoredRound, counts: RoundCounts): Promise<ReturnType<typeof stepVerdict>> {
    const { store, plan, rules, hooks } = this.around;
    const { step, deadline } = open;
    if (step === null || plan.secure === undefined)
      return verdict(open, counts, { minimum: rules.minimum, isPrivate: plan.privacy !== undefined }, hooks.now());
    const { length } = await store.secure.read(open.round).clients("keys");
    return stepVerdict({ step, deadline, counts, group: length }, plan.secure, hooks.now());
  }

  /** Asks those who answered the step before for the next one. */
  private async beginStep(open: StoredRound, step: SecureStep): Promise<void> {
    const { store, plan, presence, hooks } = this.around;
    const left = await store.askedClients(open.round);
    const deadline = this.latestDeadline(step);
    if (!(await store.secure.goOn(open.round, open.step!, step, deadline))) return this.wake();
    this.tellClosed(open, left);
    const clients = await store.askedClients(open.round);
    hooks.log({ event: "step begun", level: "info", ...about(open), step, clients: clients.length });
    for (const client of clients) presence.tell(client, { type: "task", task: taskOf({ ...open, step, deadline }, client, plan.seed) });
    this.wake();
  }

  /** What makes the next version of a round's updates. */
  private async nextVersion(open: StoredRound, time: number): Promise<(frames: Frames) => Promise<NextVersion>> {
    const { store, model, plan, rules } = this.around;
    const [base, memory] = [(await store.model(open.version))!, await store.memory()];
    if (plan.secure === undefined) {
      const clients = await store.clientCount();
      return (frames) => model.next(base, memory, frames, { round: open, clients, time, mostSamples: rules.mostSamples });
    }
    const mean = await secureRoundMean(store.secure.read(open.round), open.round, plan.secure, model.form);
    return async () => model.afterMean(base, memory, mean, time);
  }

  private async closeRound(open: StoredRound, { answered, bytes }: RoundCounts): Promise<void> {
    const { store, hooks } = this.around;
    const left = await store.askedClients(open.round);
    const time = hooks.now();
    // Updates that cannot be combined never will be; any other trouble leaves the round as it is, for another try.
    let failure: KingletError | undefined;
    const closed = await this.nextVersion(open, time)
      .then((make) => store.closeRound(open, time, make))
      .catch((error: unknown) => {
        if (!(error instanceof KingletError)) throw error;
        failure = error;
        return false;
      });
    if (failure !== undefined) return await this.giveUp(open, failure.message);
    if (closed)
      hooks.log({
        event: "round closed",
        level: "info",
        ...about(open),
        version: open.version + 1,
        updates: answered,
        bytes,
        ms: time - open.opened,
      });
    this.tellClosed(open, left);
    this.wake();
  }

  private async giveUp(open: StoredRound, why: string): Promise<void> {
    const { store, rules, hooks } = this.around;
    const left = await store.askedClients(open.round);
    await store.giveUp(open, hooks.now());
    hooks.log({ event: "round given up", level: "warn", ...about(open), why });
    this.tellClosed(open, left);
    this.restUntil = hooks.now() + 1000 * rules.restSeconds;
    this.wake();
  }

  /** Clients that still train need not go on. */
  private tellClosed({ round }: StoredRound, clients: readonly number[]): void {
    for (const client of clients) this.around.presence.tell(client, { type: "closed", round });
  }

  private async beginRound(): Promise<void> {
    const { store, rules, presence, plan, hooks } = this.around;
    if ((await store.setting("finished")) !== null || (await store.setting("paused")) === "true") return;
    const version = await store.newestVersion();
    if (version >= rules.rounds) return await this.finish(version, "all rounds are done");
    const now = hooks.now();
    this.restUntil = Math.min(this.restUntil, now + 1000 * rules.restSeconds);
    if (now < this.restUntil) return this.sleep(this.restUntil - now);
    const ready = presence.ready();
    const sizes = sizeRules(plan, rules, ready.length);
    if (ready.length < Math.max(rules.ready, sizes.minimum)) return;
    const { wanted, selected } = roundSize(sizes, ready.length);
    if (plan.privacy !== undefined && (await this.wouldExceed(plan.privacy, selected / ready.length)))
      return await this.finish(version, "the privacy budget is spent");
    const clients = (plan.privacy === undefined ? draw : drawEach)(ready, selected);
    const isSecure = plan.secure !== undefined;
    const deadline = this.latestDeadline(null);
    const round = await store.beginRound({ version, opened: now, deadline, wanted, selected, ready: ready.length, clients, isSecure });
    if (round === null) return this.wake();
    hooks.log({ event: "round begun", level: "info", ...about(round), version, ready: ready.length, selected, wanted });
    for (const client of clients) presence.tell(client, { type: "task", task: taskOf(round, client, plan.seed) });
    this.sleep(deadline - now);
  }

  private async wouldExceed(privacy: Privacy, share: number): Promise<boolean> {
    const closed = await this.around.store.closedRounds();
    // Rounds may have asked different shares: all are counted as the largest, which costs most.
    return privacy.budget !== undefined && privacySpent(privacy, Math.max(share, closed.share), closed.count + 1) > privacy.budget;
  }

  private async finish(version: number, why: string): Promise<void> {
    const { store, presence, hooks } = this.around;
    await store.set("finished", String(version));
    hooks.log({ event: "finished", level: "info", version, why });
    presence.tellAll({ type: "finished", version });
  }
}

const about = ({ round }: StoredRound): { readonly round: number } => ({ round });
