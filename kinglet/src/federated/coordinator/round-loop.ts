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
import type { Processes, Rounds } from "./processes.ts";
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
  readonly processes: Processes;
  readonly plan: FederationPlan;
  readonly rules: RoundRules;
  readonly hooks: Hooks;
  /** Told of each version that was made here. */
  readonly onVersion: () => void;
}

/** When to look again: at once, or once somebody wakes it. */
const [AT_ONCE, WHEN_WOKEN] = [0, null];

/**
 * Carries the rounds on, one look at a time. All that it knows lies in the store, so whoever looks next, in whichever process, finds everything
 * as it was.
 */
export class RoundLoop implements Rounds {
  private readonly around: Around;

  constructor(around: Around) {
    this.around = around;
  }

  /** Where nobody was here, which is not its clients' fault, an open round has the time of a whole one from now on. */
  async begin(): Promise<void> {
    const { store, processes } = this.around;
    const open = await store.openRound();
    if (open !== null && processes.first) await store.setDeadline(open.round, this.latestDeadline(open.step));
    processes.start(this);
  }

  /** Of a round, or a later step of one, that begins now. */
  private latestDeadline(step: SecureStep | null): number {
    const { rules, hooks } = this.around;
    return hooks.now() + Math.ceil(1000 * (step === null || step === "keys" ? rules.seconds : rules.stepSeconds));
  }

  async look(): Promise<number | null> {
    const { rules, hooks } = this.around;
    try {
      return await this.advance();
    } catch (error) {
      hooks.log({ event: "round failed", level: "error", message: error instanceof Error ? error.message : String(error) });
      return hooks.now() + 1000 * Math.max(1, rules.restSeconds);
    }
  }

  async remind(here: Presence): Promise<void> {
    const { store, plan } = this.around;
    const open = await store.openRound();
    if (open !== null)
      for (const client of await store.askedClients(open.round)) here.tell(client, { type: "task", task: taskOf(open, client, plan.seed) });
    const finished = open === null ? await store.setting("finished") : null;
    // Whoever made the last version may be gone.
    if (finished !== null) this.around.onVersion();
    if (finished !== null) here.tellAll({ type: "finished", version: Number(finished) });
  }

  private async advance(): Promise<number | null> {
    const { store, rules } = this.around;
    const open = await store.openRound();
    if (open === null) return await this.beginRound();
    const counts = await store.counts(open.round);
    const what = await this.verdict(open, counts);
    if (what === "go on") return await this.beginStep(open, stepAfter(open.step!));
    if (what === "close") return await this.closeRound(open, counts);
    if (what === "give up") {
      const { step } = open;
      const few = step === null ? `of at least ${rules.minimum} updates came` : `clients answered with their ${step}, too few`;
      return await this.giveUp(open, counts, `${counts.answered} ${few}`);
    }
    // Where the clock was set back, the round must not last as much longer.
    const deadline = Math.min(open.deadline, this.latestDeadline(open.step));
    if (deadline < open.deadline) await store.setDeadline(open.round, deadline);
    return deadline;
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
  private async beginStep(open: StoredRound, step: SecureStep): Promise<number> {
    const { store, plan, processes, hooks } = this.around;
    const left = await store.askedClients(open.round);
    const deadline = this.latestDeadline(step);
    if (!(await store.secure.goOn(open.round, open.step!, step, deadline))) return AT_ONCE;
    this.tellClosed(open, left);
    const clients = await store.askedClients(open.round);
    hooks.log({ event: "step begun", level: "info", ...about(open), step, clients: clients.length });
    for (const client of clients) processes.presence.tell(client, { type: "task", task: taskOf({ ...open, step, deadline }, client, plan.seed) });
    return deadline;
  }

  /** What makes the next version of a round's updates. */
  private async nextVersion(open: StoredRound, time: number): Promise<(frames: Frames) => Promise<NextVersion>> {
    const { store, model, plan, rules } = this.around;
    const [base, memory] = [(await store.model(open.version))!, await store.memory()];
    if (plan.secure === undefined) {
      const { members: clients } = await store.clientCounts();
      return (frames) => model.next(base, memory, frames, { round: open, clients, time, mostSamples: rules.mostSamples });
    }
    const mean = await secureRoundMean(store.secure.read(open.round), open.round, plan.secure, model.form);
    return async () => model.afterMean(base, memory, mean, time);
  }

  private async closeRound(open: StoredRound, counts: RoundCounts): Promise<number> {
    const { store, plan, rules, hooks } = this.around;
    // The sum of a secure round has all of its survivors, whoever is shut out meanwhile.
    const least = plan.secure === undefined ? rules.minimum : 0;
    const left = await store.askedClients(open.round);
    const time = hooks.now();
    // Updates that cannot be combined never will be; any other trouble, a damaged store among it, leaves the round as it is, for another try.
    let failure: KingletError | undefined;
    const closed = await this.nextVersion(open, time)
      .then((make) => store.closeRound(open, least, time, make))
      .catch((error: unknown) => {
        if (!(error instanceof KingletError) || error.code === "bad-file") throw error;
        failure = error;
        return false;
      });
    if (failure !== undefined) return await this.giveUp(open, counts, failure.message);
    if (!closed) return AT_ONCE;
    // As they are in the end; those of a secure round are its survivors', also of whom was shut out later.
    const { answered, bytes } = await store.counts(open.round);
    hooks.log({
      event: "round closed",
      level: "info",
      ...about(open),
      version: open.version + 1,
      updates: open.step === null ? answered : (await store.secure.read(open.round).clients("update")).length,
      bytes,
      ms: time - open.opened,
    });
    this.tellClosed(open, left);
    this.around.onVersion();
    return AT_ONCE;
  }

  private async giveUp(open: StoredRound, counts: RoundCounts, why: string): Promise<number> {
    const { store, hooks } = this.around;
    const left = await store.askedClients(open.round);
    if (!(await store.giveUp(open, hooks.now(), counts.answered))) return AT_ONCE;
    hooks.log({ event: "round given up", level: "warn", ...about(open), why });
    this.tellClosed(open, left);
    return AT_ONCE;
  }

  /** Clients that still train need not go on. */
  private tellClosed({ round }: StoredRound, clients: readonly number[]): void {
    for (const client of clients) this.around.processes.presence.tell(client, { type: "closed", round });
  }

  private async beginRound(): Promise<number | null> {
    const { store, rules, processes, plan, hooks } = this.around;
    const { presence } = processes;
    if ((await store.setting("finished")) !== null || (await store.setting("paused")) === "true") return WHEN_WOKEN;
    const version = await store.newestVersion();
    if (version >= rules.rounds) return await this.finish(version, "all rounds are done");
    const now = hooks.now();
    const rested = await this.restedAt(now);
    if (now < rested) return rested;
    // Who was shut out may still sit there: what it was told can be lost.
    const ready = await store.welcome((await presence.everybody()).ready);
    const sizes = sizeRules(plan, rules, ready.length);
    if (ready.length < Math.max(rules.ready, sizes.minimum)) return WHEN_WOKEN;
    const { wanted, selected } = roundSize(sizes, ready.length);
    if (plan.privacy !== undefined && (await this.wouldExceed(plan.privacy, selected / ready.length)))
      return await this.finish(version, "the privacy budget is spent");
    const clients = (plan.privacy === undefined ? draw : drawEach)(ready, selected);
    const isSecure = plan.secure !== undefined;
    const deadline = this.latestDeadline(null);
    const round = await store.beginRound({ version, opened: now, deadline, wanted, selected, ready: ready.length, clients, isSecure });
    if (round === null) return AT_ONCE;
    hooks.log({ event: "round begun", level: "info", ...about(round), version, ready: ready.length, selected, wanted });
    for (const client of clients) presence.tell(client, { type: "task", task: taskOf(round, client, plan.seed) });
    return deadline;
  }

  /** When the next round may begin: some time after one that was given up, unless the clock was set back since. */
  private async restedAt(now: number): Promise<number> {
    const { store, rules } = this.around;
    const [last] = await store.rounds(1);
    return last?.status === "given up" && last.ended! <= now ? last.ended! + 1000 * rules.restSeconds : now;
  }

  private async wouldExceed(privacy: Privacy, share: number): Promise<boolean> {
    const closed = await this.around.store.closedRounds();
    // Rounds may have asked different shares: all are counted as the largest, which costs most.
    return privacy.budget !== undefined && privacySpent(privacy, Math.max(share, closed.share), closed.count + 1) > privacy.budget;
  }

  private async finish(version: number, why: string): Promise<null> {
    const { store, processes, hooks } = this.around;
    await store.set("finished", String(version));
    hooks.log({ event: "finished", level: "info", version, why });
    processes.presence.tellAll({ type: "finished", version });
    return WHEN_WOKEN;
  }
}

const about = ({ round }: StoredRound): { readonly round: number } => ({ round });
