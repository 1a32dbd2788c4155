import { describe, expect, test } from "vitest";
import {
  levelsFor,
  type MaskedInput,
  meanFromFixed,
  type Revelation,
  type SealedShares,
  SecureClient,
  SecureCoordinator,
  thresholdOf,
  toFixed,
  weightedMeanOfSum,
  weightedNumbers,
} from "./index.ts";

const LENGTH = 50;

/** Clients that are gone before they share, before they send their numbers, and before they reveal. */
interface Dropping {
  readonly sharing?: readonly number[];
  readonly masking?: readonly number[];
  readonly revealing?: readonly number[];
}

const numbersOf = (client: number): Uint32Array => Uint32Array.from({ length: LENGTH }, (_, i) => Math.imul(client * 1000 + i + 1, 0x9e3779b1));

function plainSum(clients: readonly number[]): Uint32Array {
  const sum = new Uint32Array(LENGTH);
  for (const client of clients) numbersOf(client).forEach((x, i) => (sum[i] = sum[i]! + x));
  return sum;
}

interface Transcript {
  readonly sum: Uint32Array;
  readonly survivors: readonly number[];
  readonly inputs: readonly MaskedInput[];
}

async function round(count: number, threshold: number, { sharing = [], masking = [], revealing = [] }: Dropping = {}): Promise<Transcript> {
  const clients = Array.from({ length: count }, (_, i) => new SecureClient(i, 3));
  const coordinator = new SecureCoordinator(3, threshold, LENGTH);
  const group = coordinator.gather(clients.map((client) => client.advertise()));
  const shares: SealedShares[] = [];
  for (const client of clients) if (!sharing.includes(client.client)) shares.push(...(await client.share(group, threshold)));
  const routed = coordinator.route(shares);
  const inputs = clients
    .filter(({ client }) => routed.has(client) && !masking.includes(client))
    .map((client) => client.mask(numbersOf(client.client), routed.get(client.client)!));
  for (const input of inputs) coordinator.add(input);
  const survivors = coordinator.survivors();
  const revelations: Revelation[] = survivors.filter((client) => !revealing.includes(client)).map((client) => clients[client]!.reveal(survivors));
  return { sum: await coordinator.sum(revelations), survivors, inputs };
}

describe("masked sums are plain sums modulo 2^32", () => {
  const [count, threshold] = [7, 4];
  test.each<[string, Dropping]>([
    ["nobody", {}],
    ["one before sharing", { sharing: [2] }],
    ["one before sending", { masking: [0] }],
    ["one before revealing", { revealing: [6] }],
    ["t − 1 before sending", { masking: [1, 3, 5] }],
    ["t − 1, one at each step", { sharing: [0], masking: [3], revealing: [6] }],
  ])("where %s drops out", async (_, dropping) => {
    const { sum, survivors } = await round(count, threshold, dropping);
    expect(sum).toEqual(plainSum(survivors));
    expect(survivors).toHaveLength(count - (dropping.sharing?.length ?? 0) - (dropping.masking?.length ?? 0));
  });
});

test("t drop-outs at any step end the round", async () => {
  for (const dropping of [{ sharing: [0, 1, 2, 3] }, { masking: [0, 1, 2, 3] }, { revealing: [0, 1, 2, 3] }])
    await expect(round(7, 4, dropping)).rejects.toMatchObject({ code: "check-failed", hint: expect.stringContaining("Nothing was revealed") });
});

test("what travels looks like noise: nothing of the numbers, and anew in each round", async () => {
  const [first, second] = [await round(5, 3), await round(5, 3)];
  first.inputs.forEach(({ client, masked }, k) => {
    expect(masked).not.toEqual(numbersOf(client));
    expect(masked.filter((x, i) => x === second.inputs[k]!.masked[i])).toHaveLength(0);
  });
});

async function advanced(): Promise<{ clients: SecureClient[]; routed: ReadonlyMap<number, readonly SealedShares[]> }> {
  const clients = Array.from({ length: 5 }, (_, i) => new SecureClient(i, 1));
  const coordinator = new SecureCoordinator(1, 3, LENGTH);
  const group = coordinator.gather(clients.map((client) => client.advertise()));
  const shares = (await Promise.all(clients.map((client) => client.share(group, 3)))).flat();
  return { clients, routed: coordinator.route(shares) };
}

describe("a client does not give itself away", () => {
  test("it reveals once, never both secrets of somebody, and not to few", async () => {
    const { clients, routed } = await advanced();
    for (const client of clients) client.mask(numbersOf(client.client), routed.get(client.client)!);
    const { seedShares, keyShares } = clients[0]!.reveal([0, 1, 2]);
    expect([...seedShares.keys()].filter((client) => keyShares.has(client))).toEqual([]);
    expect(() => clients[0]!.reveal([0, 1, 2, 3])).toThrow(/asked to go on/);
    expect(() => clients[1]!.reveal([0, 1])).toThrow(/2 clients stayed, and 3 must/);
    expect(() => clients[2]!.reveal([2, 3, 9])).toThrow(/never there/);
    expect(() => clients[3]!.reveal([0, 1, 2])).toThrow(/cannot be/);
  });

  test("shares that were changed, swapped or repeated are refused", async () => {
    const { clients, routed } = await advanced();
    const own = routed.get(0)!;
    const changed = own.map((each, i) => (i === 0 ? { ...each, sealed: each.sealed.map((byte, k) => (k === 30 ? byte ^ 1 : byte)) } : each));
    expect(() => clients[0]!.mask(numbersOf(0), changed)).toThrow(/cannot be decrypted/);
    expect(() => clients[1]!.mask(numbersOf(1), [...routed.get(1)!, routed.get(1)![0]!])).toThrow(/came to 1/);
    expect(() => clients[2]!.mask(numbersOf(2), routed.get(3)!)).toThrow(/came to 2/);
    const relabelled = routed.get(4)!.map((each) => ({ ...each, from: each.from === 0 ? 1 : each.from === 1 ? 0 : each.from }));
    expect(() => clients[4]!.mask(numbersOf(4), relabelled)).toThrow(/cannot be decrypted/);
  });

  test("a group without it, with twins or with a low threshold is refused", async () => {
    const keys = Array.from({ length: 4 }, (_, i) => new SecureClient(i, 1).advertise());
    const joining = (): { client: SecureClient; own: ReturnType<SecureClient["advertise"]> } => {
      const client = new SecureClient(9, 1);
      return { client, own: client.advertise() };
    };
    await expect(joining().client.share(keys, 3)).rejects.toThrow(/not in the group/);
    const twin = joining();
    await expect(twin.client.share([...keys, twin.own, { ...twin.own, client: 10 }], 4)).rejects.toThrow(/same key/);
    const low = joining();
    await expect(low.client.share([...keys, low.own], 2)).rejects.toThrow(/above their half/);
  });
});

test("a coordinator takes nothing that does not belong to the round", async () => {
  const clients = Array.from({ length: 3 }, (_, i) => new SecureClient(i, 1));
  const coordinator = new SecureCoordinator(1, 2, LENGTH);
  const group = coordinator.gather(clients.map((client) => client.advertise()));
  const shares = (await Promise.all(clients.map((client) => client.share(group, 2)))).flat();
  expect(() => coordinator.route([...shares, shares[0]!])).toThrow(/do not belong/);
  const routed = coordinator.route(shares);
  const inputs = clients.map((client) => client.mask(numbersOf(client.client), routed.get(client.client)!));
  expect(() => coordinator.add({ client: 0, masked: new Uint32Array(3) })).toThrow(/do not belong/);
  expect(() => coordinator.add({ client: 9, masked: inputs[0]!.masked })).toThrow(/do not belong/);
  expect(() => coordinator.survivors()).toThrow(/0 clients sent/);
  for (const input of inputs.slice(1)) coordinator.add(input);
  expect(() => coordinator.add(inputs[1]!)).toThrow(/twice/);
  const survivors = coordinator.survivors();
  const honest = survivors.map((client) => clients[client]!.reveal(survivors));
  const forged = honest.map((each) => ({
    ...each,
    keyShares: new Map([[0, each.keyShares.get(0)!.map((byte, i) => (i === 10 ? byte ^ 1 : byte))]]),
  }));
  await expect(coordinator.sum(forged)).rejects.toThrow(/not its own/);
  expect(await coordinator.sum(honest)).toEqual(plainSum(survivors));
});

test("floats add up as fixed-point numbers to within half a step each", () => {
  const vectors = Array.from({ length: 20 }, (_, k) => Float32Array.from({ length: 9 }, (_x, i) => Math.sin(k * 9 + i)));
  const fixed = { clip: 0.9, levels: levelsFor(vectors.length) };
  const sum = new Uint32Array(9);
  for (const vector of vectors) toFixed(vector, fixed).forEach((x, i) => (sum[i] = sum[i]! + x));
  const mean = meanFromFixed(sum, vectors.length, fixed);
  const clipped = (x: number): number => Math.max(-0.9, Math.min(0.9, x));
  mean.forEach((x, i) => {
    const exact = vectors.reduce((total, vector) => total + clipped(vector[i]!), 0) / vectors.length;
    expect(Math.abs(x - exact)).toBeLessThanOrEqual(0.9 / fixed.levels + 1e-7);
  });
  expect(levelsFor(1)).toBe(2 ** 22);
  expect(levelsFor(2 ** 20) * 2 ** 20).toBeLessThan(2 ** 32);
  expect(() => toFixed(Float32Array.of(Number.NaN), fixed)).toThrow(/not finite/);
});

test("weights are shares of the most samples, and a sum that the clients' numbers cannot have is refused", () => {
  const rules = { clip: 1, mostSamples: 40 };
  const updates = [10, 40, 500].map((samples, k) => ({ delta: Float32Array.of(0.5, -0.25 * k), samples }));
  const sum = new Uint32Array(3);
  for (const update of updates) weightedNumbers(update, rules, 4).forEach((x, i) => (sum[i] = sum[i]! + x));
  // Who has more than 40 counts as one with 40.
  expect(sum[2]).toBe(90);
  const mean = weightedMeanOfSum(sum, rules, { survivors: 3, count: 4 });
  expect(mean[0]).toBeCloseTo(0.5, 5);
  expect(mean[1]).toBeCloseTo((-0.25 * 40 - 0.5 * 40) / 90, 5);
  for (const wrong of [Uint32Array.of(sum[0]!, sum[1]!, 121), Uint32Array.of(sum[0]!, sum[1]!, 2), Uint32Array.of(3 * levelsFor(4) + 1, 0, 90)])
    expect(() => weightedMeanOfSum(wrong, rules, { survivors: 3, count: 4 })).toThrow(/none that the clients' numbers can have/);
  expect(() => weightedNumbers(updates[0]!, { clip: 1, mostSamples: 2 ** 30 }, 4)).toThrow(/cannot count/);
});

test("a threshold is above a share of the group, and never below the least that are added up", () => {
  expect([2, 5, 6].map((count) => thresholdOf({ threshold: 0.5, minimum: 2 }, count))).toEqual([2, 3, 4]);
  expect([3, 9].map((count) => thresholdOf({ threshold: 2 / 3, minimum: 3 }, count))).toEqual([3, 7]);
  expect(thresholdOf({ threshold: 0.5, minimum: 8 }, 5)).toBe(8);
});
