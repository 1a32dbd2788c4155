import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { bytesOf, Xorshift32 } from "../../base/index.ts";
import { encodeUpdate, MOST_SECURE_BYTES, SECURE_STEPS, type SecureStep, type Task } from "../protocol/index.ts";
import {
  ALL_AT_ONCE,
  enrolAll,
  enrolmentToken,
  inventedFrame,
  KEYS,
  securePlan,
  startFederation,
  statusOf,
  tasksOf,
  UNLIMITED,
} from "./coordinator-testing.ts";
import { type Attack, flipped, noise, refused, said } from "./hostile-testing.ts";
import { FederatedModel } from "./model.ts";
import { plainlyAfter, StepClient } from "./secure-testing.ts";

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "kinglet-hostile-secure-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const RULES = { ...ALL_AT_ONCE, ready: 4, rounds: 1, seconds: 3600, stepSeconds: 3600 };
/** The last one drops out before its update, so that there is a key to reveal. */
const CLIENTS = 4;
const TURNS = 2;
const MODEL = new FederatedModel(securePlan(), KEYS);
const LENGTH = MODEL.form.length;

type Body = string | Uint8Array<ArrayBuffer>;
/** Makes another body of a good one. */
type Spoil = (good: string, random: Xorshift32) => Body;

/** The document with something done to it. */
const changed =
  <T>(change: (document: T, random: Xorshift32) => unknown): Spoil =>
  (good, random) => {
    const document = JSON.parse(good) as T;
    const other = change(document, random);
    return JSON.stringify(typeof other === "object" ? other : document);
  };

/** What is no document of any step. */
const NO_DOCUMENT: readonly Spoil[] = [
  (good, random) => good.slice(0, random.int(0, good.length - 1)),
  (_, random) => noise(random, random.int(0, 500)),
  (_, random) => noise(random, MOST_SECURE_BYTES + random.int(1, 10_000)),
  () => "[".repeat(50_000),
  () => "null",
  () => "{}",
  changed<object>((document) => ({ ...document, more: 1 })),
  (good) => good.replace(/"[0-9a-f]{10}/, '"XYZXYZXYZX'),
  (good) => good.replace(/"[0-9a-f]{2}(?=[0-9a-f]{20})/, '"'),
  (good) => good.replace(/"(?=[0-9a-f]{20})/, '"00'),
];

interface Shares {
  readonly shares: { to: number; sealed: string }[];
}
interface Revelation {
  readonly seedShares: { client: number; share: string }[];
  readonly keyShares: { client: number; share: string }[];
}

const places = [0, -1, 1.5, 1e10, "1", null] as const;

/** What is a document, and not what may be said in this step: client 2 says it, client 1 has answered. */
function spoils(step: Exclude<SecureStep, "update">, first: string): readonly Spoil[] {
  switch (step) {
    case "keys":
      return [
        () => first,
        changed<Record<string, string>>((keys) => ({ ...keys, maskKey: keys["channelKey"] })),
        changed<Record<string, string>>((keys) => ({ ...keys, maskKey: "0".repeat(64) })),
        changed<Record<string, string>>((keys) => ({ ...keys, channelKey: `01${"0".repeat(62)}` })),
        changed<Record<string, string>>((keys) => ({ maskKey: keys["maskKey"] })),
      ];
    case "shares":
      return [
        changed<Shares>(({ shares }, random) => shares.splice(random.int(0, shares.length - 1), 1)),
        changed<Shares>(({ shares }, random) => shares.push({ ...shares[random.int(0, shares.length - 1)]! })),
        changed<Shares>(({ shares }) => (shares[0]!.to = shares[1]!.to)),
        changed<Shares>(({ shares }) => (shares[0]!.to = 2)),
        changed<Shares>(({ shares }, random) => (shares[0]!.to = random.int(1000, 1e6))),
        changed<Shares>(({ shares }, random) => ((shares[0] as { to: unknown }).to = places[random.int(0, places.length - 1)])),
        changed<Shares>(({ shares }) => ({ shares: Array.from({ length: 256 }, (_, i) => ({ ...shares[0], to: i + 1 })) })),
      ];
    case "revelation":
      return [
        // Of somebody both, the other one, nobody's, or of somebody who was never there.
        changed<Revelation>(({ seedShares, keyShares }) => keyShares.push(seedShares[0]!)),
        changed<Revelation>(({ seedShares, keyShares }) => seedShares.push(keyShares[0]!)),
        changed<Revelation>(({ seedShares, keyShares }) => ({ seedShares: keyShares, keyShares: seedShares })),
        changed<Revelation>(({ seedShares }) => seedShares.splice(0, 1)),
        changed<Revelation>(({ keyShares }) => keyShares.splice(0, 1)),
        changed<Revelation>(({ seedShares }) => (seedShares[0] = { ...seedShares[1]! })),
        changed<Revelation>(({ seedShares }, random) => seedShares.push({ ...seedShares[0]!, client: random.int(1000, 1e6) })),
        changed<Revelation>(({ seedShares }, random) => ((seedShares[0] as { client: unknown }).client = places[random.int(0, places.length - 1)])),
      ];
    default:
      return step satisfies never;
  }
}

/** Frames that are no masked update of this round. */
function updateAttacks(task: Task, good: Uint8Array<ArrayBuffer>): ((random: Xorshift32) => Body)[] {
  const words = new Uint32Array(LENGTH + 1);
  const masked = (more: object, count = words.length): Uint8Array<ArrayBuffer> =>
    new Uint8Array(encodeUpdate({ ...task, samples: 0, steps: 0, delta: bytesOf(words.subarray(0, count)), ...more }, { kind: "masked" }));
  return [
    (random) => flipped(good, random),
    (random) => good.slice(0, random.int(0, good.length - 1)),
    (random) => noise(random, random.int(0, good.length + 1000)),
    // One that everybody could read, and one that tells its samples.
    () => new Uint8Array(inventedFrame(task, 2, LENGTH)),
    (random) => masked({ samples: random.int(1, 100) }),
    (random) => masked({ steps: random.int(1, 100) }),
    () => masked({}, LENGTH),
    (random) => masked({ round: task.round + random.int(1, 9) }),
    (random) => masked({ version: task.version + random.int(1, 9) }),
  ];
}

/** Where a round is when it is attacked. */
interface Stage {
  readonly step: SecureStep;
  readonly task: Task;
  /** Honest answers, one of which is there already: the first. */
  readonly messages: readonly Body[];
  /** Those of the step before. */
  readonly before: readonly Body[];
  readonly tokens: readonly string[];
  /** Of a client that was not asked. */
  readonly stranger: string;
}

function get(what: string, token: string): Attack {
  return { path: `/v1/rounds/1/${what}`, init: { headers: { authorization: `Bearer ${token}` } } };
}

/** What is shown in another step, or to others. */
function curious({ step, tokens, stranger }: Stage): Attack[] {
  const [, second, , gone] = tokens as [string, string, string, string];
  return [
    ...["group", "shares", "survivors"].map((what) => get(what, stranger)),
    ...(step === "shares" ? [] : [get("group", second)]),
    ...(step === "update" ? [] : [get("shares", second)]),
    get("survivors", step === "revelation" ? gone : second),
  ];
}

/** A right message in a wrong place: another round, another step, said again by who has answered, by others. */
function misplaced({ step, messages, before, tokens, stranger }: Stage, random: Xorshift32): Attack[] {
  const [first, second] = tokens as [string, string];
  const good = messages[1]!;
  const stepBefore = SECURE_STEPS[SECURE_STEPS.indexOf(step) - 1];
  return [
    said(`${random.int(2, 1e6)}/${step}`, second, good),
    ...SECURE_STEPS.filter((each) => each !== step).map((other) => said(`1/${other}`, second, good)),
    ...before.map((body, i) => said(`1/${stepBefore}`, tokens[(i + 1) % 3]!, body)),
    ...[first, stranger, enrolmentToken(KEYS)].map((token) => said(`1/${step}`, token, good)),
  ];
}

/** What the second client says instead of what is right. */
function wrong({ step, task, messages, tokens }: Stage, random: Xorshift32): Attack[] {
  const good = messages[1]!;
  const bodies =
    step === "update"
      ? updateAttacks(task, good as Uint8Array<ArrayBuffer>).map((make) => make(random))
      : [...NO_DOCUMENT, ...spoils(step, messages[0] as string)].map((spoil) => spoil(good as string, random));
  return bodies.map((body) => said(`1/${step}`, tokens[1]!, body));
}

test("hostile messages in each step of secure aggregation change nothing of a round", async () => {
  const running = await startFederation(join(folder, "hostile.db"), { plan: securePlan(), rules: RULES, limits: UNLIMITED });
  const clients = await enrolAll(running.url, CLIENTS);
  const players = clients.map((client) => new StepClient(client, LENGTH));
  const random = new Xorshift32(11);
  const statuses = new Set<number>();
  await tasksOf(clients);
  const [stranger] = await enrolAll(running.url, 1);
  let before: Body[] = [];
  for (const step of SECURE_STEPS) {
    const still = players.slice(0, step === "revelation" ? 3 : CLIENTS);
    const tasks = await tasksOf(still.map(({ client }) => client));
    const messages = await Promise.all(still.map((player, i) => player.message(tasks[i]!)));
    await clients[0]!.send(1, step, messages[0]!);
    const status = await statusOf(running.url, KEYS);
    const tokens = clients.map(({ credential }) => credential);
    const stage = { step, task: tasks[1]!, messages, before, tokens, stranger: stranger!.credential };
    for (let turn = 0; turn < TURNS; turn++) {
      const attacks = [...wrong(stage, random), ...misplaced(stage, random), ...curious(stage)];
      for (const status of await refused(running, attacks)) statuses.add(status);
    }
    expect(await statusOf(running.url, KEYS)).toEqual({ ...status, clients: expect.anything() });
    // Who is attacked still takes part.
    const sending = step === "update" ? still.slice(0, 3) : still;
    await Promise.all(sending.map(({ client }, i) => client.send(1, step, messages[i]!)));
    if (step === "update") await clients[3]!.decline(1);
    before = messages;
  }
  expect([...statuses].sort((a, b) => a - b)).toEqual([400, 403, 409, 410, 413]);
  expect(await clients[0]!.task(20)).toEqual({ finished: { version: 1 } });
  expect(await clients[0]!.parameters(1)).toEqual(plainlyAfter(MODEL, MODEL.first(0), 1, [1, 2, 3], CLIENTS));
  await running.stop();
});

test("shares that are not true give no version", async () => {
  const running = await startFederation(join(folder, "untrue.db"), { plan: securePlan(), rules: { ...RULES, restSeconds: 3600 } });
  const players = (await enrolAll(running.url, CLIENTS)).map((client) => new StepClient(client, LENGTH));
  for (const step of SECURE_STEPS) {
    const tasks = await tasksOf(players.map(({ client }) => client));
    const messages = await Promise.all(players.map((player, i) => player.message(tasks[i]!)));
    // The first client's share of the first seed has another last digit.
    const untrue = (message: Body): Body => (message as string).replace(/([0-9a-f]{60})[0-9a-f]{6}"/, '$1000000"');
    await Promise.all(players.map(({ client }, i) => client.send(1, step, step === "revelation" && i === 0 ? untrue(messages[i]!) : messages[i]!)));
  }
  const given = (): unknown => running.events.find(({ event }) => event === "round given up");
  await expect.poll(given, { timeout: 20_000 }).toMatchObject({ why: expect.stringMatching(/none that the clients' numbers can have|do not fit/) });
  expect((await statusOf(running.url, KEYS)).version).toBe(0);
  await running.stop();
});
