// Whole federations of real clients, compared with the simulation of the same rounds.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join as joinPath } from "node:path";
import { afterAll, expect, test } from "vitest";
import { Xorshift32 } from "../../base/index.ts";
import { datasetFromArrays } from "../../data/index.ts";
import {
  ALL_AT_ONCE,
  CLASSES,
  enrolmentToken,
  INPUTS,
  KEYS,
  securePlan,
  startFederation,
  tasksOf,
  TestClient,
  tinyPlan,
} from "../coordinator/coordinator-testing.ts";
import type { FederationPlan } from "../coordinator/index.ts";
import { StepClient } from "../coordinator/secure-testing.ts";
import { readKinglet, writeKinglet } from "../../formats/index.ts";
import { LocalTrainer } from "../local.ts";
import { partition } from "../partition.ts";
import { projectOf } from "../protocol/index.ts";
import { DEFAULT_SECURE_RULES } from "../secure/index.ts";
import { simulate } from "../simulate.ts";
import { STRATEGIES } from "../strategy.ts";
import { type ClientEvent, type Platform, takePart } from "./client.ts";
import type { Learner } from "./learner.ts";
import { openSocket } from "./node.ts";
import { storeInMemory } from "./store-testing.ts";

const folder = mkdtempSync(joinPath(tmpdir(), "kinglet-wire-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const [CLIENTS, ROUNDS, SAMPLES] = [4, 3, 70];
const random = new Xorshift32(5);
const dataset = datasetFromArrays({
  data: Float32Array.from({ length: SAMPLES * INPUTS }, () => random.float()),
  shape: [INPUTS],
  labels: Array.from({ length: SAMPLES }, (_, i) => i % CLASSES),
  classes: ["a", "b", "c"],
});
const positions = Int32Array.from({ length: SAMPLES }, (_, i) => i);
const { labels, groups } = dataset.index;
const parts = partition({ positions, labels, groups }, { kind: "dirichlet", clients: CLIENTS, alpha: 1 }, 3);
const mostSamples = Math.max(...parts.map(({ length }) => length));

const PLATFORM: Platform = {
  openSocket,
  readings: { charging: async () => undefined, unmetered: async () => undefined, idle: async () => undefined },
};

/** Trains as the simulation's client of the same place does, which counts its clients from 0; for one client after the other. */
function learnerOf({ network, local, strategy, seed }: FederationPlan): Learner {
  const trainer = new LocalTrainer(network, local, { corrected: strategy.control === true });
  const { length, memoryBytes } = trainer;
  let last: Promise<unknown> = Promise.resolve();
  const train: Learner["train"] = (start) => {
    const client = start.seed - seed * 1_000_003 - 1;
    const learned = last.then(() => trainer.train(dataset, parts[client]!, client, { ...start, seed: start.seed - 1 }));
    last = learned.catch(() => {});
    return learned.then(({ client: _own, ...rest }) => rest);
  };
  return { length, samples: 1, memoryBytes, train, close: async () => {} };
}

/** Learns nothing, at once. */
const idle = ({ network, local }: FederationPlan): Learner => {
  const { length } = new LocalTrainer(network, local);
  return {
    length,
    samples: 4,
    memoryBytes: 0,
    train: async () => ({ delta: new Float32Array(length), samples: 4, steps: 1 }),
    close: async () => {},
  };
};

test("a client that is started again in the middle of a round of secure aggregation is out of it, and in the next", async () => {
  const plan = securePlan();
  const rules = { ...ALL_AT_ONCE, rounds: 2, ready: CLIENTS };
  const federation = await startFederation(joinPath(folder, "again.db"), { plan, rules });
  const [token, learner] = [enrolmentToken(KEYS), idle(plan)];
  const before = await TestClient.enrol(federation.url, token);
  const others = Array.from({ length: CLIENTS - 1 }, () => takePart(federation.url, async () => learner, { token }, PLATFORM));
  const [task] = await tasksOf([before]);
  await new StepClient(before, learner.length).answer(task!);
  // Another life of the same client, without the secrets of this one.
  const { client, credential } = before;
  const identity = { client, credential, project: projectOf(KEYS.publicKey), key: KEYS.publicKey, newest: 0 };
  const store = storeInMemory(JSON.stringify(identity));
  const events: ClientEvent[] = [];
  const onEvent = (event: ClientEvent): void => void events.push(event);
  const again = await takePart(federation.url, async () => learner, { store, onEvent }, PLATFORM);
  expect(again).toEqual({ client, rounds: 1, version: 2 });
  expect(events.filter(({ event }) => event === "left out")).toEqual([
    { event: "left out", round: 1, why: "this client knows nothing of the round: it was started again meanwhile" },
  ]);
  for (const each of await Promise.all(others)) expect(each).toMatchObject({ rounds: 2, version: 2 });
  await federation.stop();
});

test.each<[string, Partial<FederationPlan>]>([
  ["SCAFFOLD", { strategy: STRATEGIES.scaffold }],
  [
    "a moving average with rates that decay",
    { strategy: { ...STRATEGIES.fedavg, averageDecay: 0.8 }, local: { ...tinyPlan().local, rateDecay: 0.5 } },
  ],
  ["secure aggregation for FedAdam", { strategy: STRATEGIES.fedadam, secure: { ...DEFAULT_SECURE_RULES, mostSamples } }],
])("%s over the wire gives the simulation's model, bit for bit, over sockets and long polls", async (name, more) => {
  const plan = tinyPlan(more);
  const { network, local, strategy } = plan;
  const secure = plan.secure === undefined ? {} : { secure: {} };
  const expected = await simulate(network, dataset, parts, { strategy, local, rounds: ROUNDS, share: 1, test: positions, ...secure });
  const rules = { ...ALL_AT_ONCE, rounds: ROUNDS, ready: CLIENTS, minimum: CLIENTS };
  const federation = await startFederation(joinPath(folder, `${name}.db`), { plan, rules });
  const [token, learner] = [enrolmentToken(KEYS), learnerOf(plan)];
  const took = await Promise.all(
    parts.map((_, i) => takePart(federation.url, async () => learner, { token, transport: i % 2 === 0 ? "auto" : "poll" }, PLATFORM)),
  );
  for (const each of took) expect(each).toMatchObject({ rounds: ROUNDS, version: ROUNDS });
  const exported = readKinglet(await federation.coordinator.export(), "federated");
  expect(writeKinglet(exported)).toEqual(writeKinglet(expected.network));
  await federation.stop();
});
