import { expect, test } from "vitest";
import { keysMessage, type SecureStep, type Task } from "../protocol/index.ts";
import { advertisementOf, type GroupAnswer, type KeysMessage, type SharesAnswer, sharesMessage } from "../protocol/index.ts";
import { SecureClient, type SealedShares } from "../secure/index.ts";
import { SecureParticipation } from "./secure-participation.ts";

const [ROUND, VERSION, LENGTH] = [7, 3, 4];
const RULES = { threshold: 0.5, minimum: 3, clip: 1, mostSamples: 10 };
const IDENTITY = { client: 1, credential: "", project: "", key: "" };
const task = (step: SecureStep, round = ROUND): Task => ({ round, version: VERSION, step, deadline: 0, seed: 1 });

/** What a coordinator shows to client 1. */
interface Shown {
  group: GroupAnswer;
  shares: SharesAnswer;
  survivors: number[];
}

/** Client 1 in a round with four honest ones; `lie` changes what it is shown. */
async function round(lie: (shown: Shown) => void = () => {}) {
  const others = [2, 3, 4, 5].map((client) => new SecureClient(client, ROUND));
  const shown: Shown = { group: { round: ROUND, group: [] }, shares: { round: ROUND, shares: [] }, survivors: [1, 2, 3, 4] };
  const said: string[] = [];
  const api = {
    answerStep: async (_: unknown, _round: number, step: SecureStep, body: string) => {
      said.push(step);
      if (step !== "keys") return;
      const own = { client: 1, ...(JSON.parse(body) as KeysMessage) };
      shown.group.group = [own, ...others.map((other) => ({ client: other.client, ...keysMessage(other.advertise()) }))];
      const group = shown.group.group.map((each) => advertisementOf(each.client, each));
      const all: SealedShares[][] = await Promise.all(others.map((other) => other.share(group, 3)));
      const forOne = all.map((shares) => shares.find(({ to }) => to === 1)!);
      shown.shares.shares = forOne.map((sealed) => ({ from: sealed.from, sealed: sharesMessage([sealed]).shares[0]!.sealed }));
      lie(shown);
    },
    submit: async () => void said.push("update"),
    group: async () => shown.group,
    shares: async () => shown.shares,
    survivors: async () => ({ round: ROUND, survivors: shown.survivors }),
  };
  const participation = new SecureParticipation(api, { identity: IDENTITY }, RULES, (work) => work());
  await participation.begin(task("keys"), { delta: new Float32Array(LENGTH), samples: 5, steps: 1 });
  return { participation, said };
}

test("it goes through the steps of a round, each once", async () => {
  const { participation, said } = await round();
  expect(await participation.goOn(task("shares"))).toBeUndefined();
  expect(await participation.goOn(task("update"))).toBe(36 + 4 * (LENGTH + 1));
  expect(await participation.goOn(task("revelation"))).toBeUndefined();
  expect(said).toEqual(["keys", "shares", "update", "revelation"]);
  await expect(participation.goOn(task("revelation"))).rejects.toThrow(/knows nothing of the round/);
});

test.each<[string, SecureStep, RegExp, (shown: Shown) => void]>([
  ["a group smaller than the least that may be added up", "shares", /threshold of 2 clients/, ({ group }) => group.group.splice(2)],
  ["a group without it", "shares", /not in the group with its own key/, ({ group }) => group.group.splice(0, 1)],
  [
    "a group with another key of its own",
    "shares",
    /not in the group with its own key/,
    ({ group }) => group.group.splice(0, 1, { ...group.group[0]!, maskKey: "5".repeat(64) }),
  ],
  ["a group with two of one key", "shares", /same key/, ({ group }) => group.group.push({ ...group.group[1]!, client: 9 })],
  ["shares of fewer than must stay", "update", /2 clients are there, and 3 must be/, ({ shares }) => shares.shares.splice(1)],
  [
    "shares of somebody who was not in the group",
    "update",
    /shares from 9 to 1 came/,
    ({ shares }) => (shares.shares[0] = { ...shares.shares[0]!, from: 9 }),
  ],
  ["shares for somebody else", "update", /cannot be decrypted/, ({ shares }) => (shares.shares[0] = { ...shares.shares[1]!, from: 2 })],
  ["survivors of whom it has no shares", "revelation", /never there/, (shown) => (shown.survivors = [1, 2, 3, 9])],
  ["fewer survivors than must stay", "revelation", /2 clients stayed, and 3 must/, (shown) => (shown.survivors = [1, 2])],
  ["survivors without it", "revelation", /cannot be/, (shown) => (shown.survivors = [2, 3, 4])],
  ["a survivor twice", "revelation", /cannot be/, (shown) => (shown.survivors = [1, 2, 3, 3])],
])("it goes no further where it is shown %s", async (_, step, message, lie) => {
  const { participation, said } = await round(lie);
  for (const before of (["shares", "update"] as const).slice(0, ["shares", "update", "revelation"].indexOf(step)))
    await participation.goOn(task(before));
  const heard = [...said];
  await expect(participation.goOn(task(step))).rejects.toThrow(message);
  expect(said).toEqual(heard);
  // And not with the truth, either: what was asked before would be answered in another way now.
  await expect(participation.goOn(task(step))).rejects.toThrow(/knows nothing of the round/);
});

test("it answers no step twice, none out of order, and none of another round", async () => {
  const { participation } = await round();
  await expect(participation.goOn(task("revelation", ROUND + 1))).rejects.toThrow(/knows nothing/);
  await participation.goOn(task("shares"));
  await expect(participation.goOn(task("shares"))).rejects.toThrow(/asked to go on from "shared"/);
  const early = await round();
  await expect(early.participation.goOn(task("revelation"))).rejects.toThrow(/asked to go on from "advertised"/);
  expect(early.said).toEqual(["keys"]);
});
