import { describe, expect, test } from "vitest";
import { Xorshift32 } from "../base/index.ts";
import { type Dataset, datasetFromArrays } from "../data/index.ts";
import { evaluateOn, TrainingSession } from "../train/index.ts";
import { dsCnn, mlp } from "../zoo/index.ts";
import {
  ClientFile,
  LocalTrainer,
  type LocalTraining,
  partition,
  privacyLoss,
  simulate,
  type SimulationOptions,
  STRATEGIES,
  type Strategy,
} from "./index.ts";

const [SAMPLES, INPUTS, CLASSES, TEST] = [240, 6, 3, 60];

/** Three clouds of points that a small network tells apart. */
function clouds(): Dataset {
  const random = new Xorshift32(5);
  const labels = Array.from({ length: SAMPLES }, (_, i) => i % CLASSES);
  const data = Float32Array.from({ length: SAMPLES * INPUTS }, (_, i) => {
    const label = labels[Math.floor(i / INPUTS)]!;
    return 0.6 * random.float() + (i % CLASSES === label ? 1 : 0);
  });
  return datasetFromArrays({ data, shape: [INPUTS], labels, classes: ["a", "b", "c"] });
}

const dataset = clouds();
const network = (): ReturnType<typeof mlp> => mlp({ inputs: INPUTS, hidden: [8], classes: CLASSES });
const test_ = Int32Array.from({ length: TEST }, (_, i) => SAMPLES - TEST + i);
const positions = Int32Array.from({ length: SAMPLES - TEST }, (_, i) => i);
const { labels, groups } = dataset.index;
const clients = (count: number): Int32Array[] => partition({ positions, labels, groups }, { kind: "iid", clients: count });

const LOCAL: LocalTraining = { optimizer: { kind: "sgd", momentum: 0 }, epochs: 2, batchSize: 8, rate: 0.1 };

function options(strategy: Strategy, more: Partial<SimulationOptions> = {}): SimulationOptions {
  return { strategy, local: LOCAL, rounds: 3, share: 0.5, test: test_, ...more };
}

/** One step of gradient descent on all samples at once. */
async function wholeStep(): Promise<Float32Array[]> {
  const batch = positions.length;
  const session = new TrainingSession(mlp({ inputs: INPUTS, hidden: [8], classes: CLASSES, batch }), { optimizer: LOCAL.optimizer });
  const targets = new Float32Array(batch * CLASSES);
  positions.forEach((position, i) => (targets[i * CLASSES + labels[position]!] = 1));
  session.run([Float32Array.from(await dataset.read([...positions]))], targets, LOCAL.rate);
  return session.step.trained.map(({ variable }) => session.variable(variable.name));
}

test("one round of all clients with all of their samples in one batch is one step on everything", async () => {
  const local = { ...LOCAL, epochs: 1, batchSize: positions.length / 4 };
  const { parameters } = await simulate(network(), dataset, clients(4), options(STRATEGIES.fedavg, { local, rounds: 1, share: 1 }));
  const expected = (await wholeStep()).flatMap((part) => [...part]);
  expect(parameters).toHaveLength(expected.length);
  expected.forEach((x, i) => expect(Math.abs(parameters[i]! - x)).toBeLessThanOrEqual(1e-6 * Math.max(1, Math.abs(x))));
});

test("a last batch that is not full counts as the samples that it has", async () => {
  const sizes = [12, 20].map(async (batchSize) => {
    const local = { ...LOCAL, epochs: 1, batchSize };
    return await new LocalTrainer(network(), local).train(dataset, positions.slice(0, 12), 0, { ...start(local), seed: 1, round: 1 });
  });
  const [full, padded] = await Promise.all(sizes);
  expect(padded!.steps).toBe(1);
  full!.delta.forEach((x, i) => expect(padded!.delta[i]).toBeCloseTo(x, 6));
});

function start(local: LocalTraining): { parameters: Float32Array } {
  return { parameters: new LocalTrainer(network(), local).initialParameters() };
}

test("FedProx without a pull is federated averaging, bit for bit; with one, clients stay nearer", async () => {
  const run = async (strategy: Strategy): Promise<Float32Array> => (await simulate(network(), dataset, clients(6), options(strategy))).parameters;
  const average = await run(STRATEGIES.fedavg);
  expect(await run({ ...STRATEGIES.fedprox, proximal: 0 })).toEqual(average);
  const reach = async (proximal: number): Promise<number> => {
    const { delta } = await new LocalTrainer(network(), { ...LOCAL, proximal }).train(dataset, positions, 0, { ...start(LOCAL), seed: 1, round: 1 });
    return Math.hypot(...delta);
  };
  expect(await reach(5)).toBeLessThan(0.8 * (await reach(0)));
});

test("the proximal gradient is μ (w − w₀)", async () => {
  const local = { ...LOCAL, epochs: 2, batchSize: positions.length };
  const train = async (proximal: number, epochs: number): Promise<Float32Array> =>
    (await new LocalTrainer(network(), { ...local, proximal, epochs }).train(dataset, positions, 0, { ...start(local), seed: 1, round: 1 })).delta;
  const [first, plain, pulled] = [await train(0.5, 1), await train(0, 2), await train(0.5, 2)];
  // At w₀ the pull is 0, so the second steps differ by −rate · μ · (w₁ − w₀).
  plain.forEach((x, i) => expect(pulled[i]).toBeCloseTo(x - LOCAL.rate * 0.5 * first[i]!, 6));
});

describe.each(Object.keys(STRATEGIES) as (keyof typeof STRATEGIES)[])("%s", (name) => {
  const strategy: Strategy = STRATEGIES[name];
  test("learns, and the same from the same seed", async () => {
    const run = async (seed: number) => await simulate(network(), dataset, clients(6), options(strategy, { rounds: 20, seed }));
    const [first, again, other] = [await run(1), await run(1), await run(2)];
    expect(first.evaluation.accuracy).toBeGreaterThan(0.9);
    expect(again.parameters).toEqual(first.parameters);
    expect(other.parameters).not.toEqual(first.parameters);
  });
});

test("SCAFFOLD's corrections of all clients are their common one", async () => {
  const trainer = new LocalTrainer(network(), LOCAL, { corrected: true });
  const correction = new Float32Array(trainer.length).fill(0.25);
  const begin = { parameters: trainer.initialParameters(), seed: 1, round: 1 };
  const [plain, corrected] = [
    await trainer.train(dataset, positions.slice(0, 8), 0, begin),
    await trainer.train(dataset, positions.slice(0, 8), 0, { ...begin, correction }),
  ];
  // Two steps on the same eight samples: the first is moved by exactly −rate · correction, the second about as much again.
  const mean = plain.delta.reduce((sum, x, i) => sum + corrected.delta[i]! - x, 0) / plain.delta.length;
  expect(mean).toBeCloseTo(-2 * LOCAL.rate * 0.25, 2);
});

test("quantized and sparse updates learn as well, and are counted", async () => {
  const run = async (more: Partial<SimulationOptions>) =>
    await simulate(network(), dataset, clients(6), options(STRATEGIES.fedavg, { rounds: 15, ...more }));
  const [plain, bits, sparse] = [
    await run({}),
    await run({ compression: { kind: "quantize", bits: 8 } }),
    await run({ compression: { kind: "topK", share: 0.1 } }),
  ];
  const length = plain.parameters.length;
  expect(plain.reports[0]!.bytes).toBe(3 * 4 * length);
  expect(bits.reports[0]!.bytes).toBe(3 * (length + 4));
  expect(sparse.reports[0]!.bytes).toBe(3 * 8 * Math.round(0.1 * length));
  for (const { evaluation } of [plain, bits, sparse]) expect(evaluation.accuracy).toBeGreaterThan(0.9);
});

test("privacy is counted each round and ends the training at its budget", async () => {
  const privacy = { clip: 0.5, noise: 0.3, delta: 1e-3 };
  const free = await simulate(network(), dataset, clients(6), options(STRATEGIES.fedavg, { rounds: 4, privacy }));
  const spent = free.reports.map(({ epsilon }) => epsilon!);
  expect(spent).toEqual([...spent].sort((a, b) => a - b));
  const bounded = await simulate(
    network(),
    dataset,
    clients(6),
    options(STRATEGIES.fedavg, { rounds: 4, privacy: { ...privacy, budget: spent[1]! } }),
  );
  expect(bounded.reports).toHaveLength(2);
  await expect(
    simulate(network(), dataset, clients(6), options(STRATEGIES.fedavg, { privacy: { ...privacy, budget: spent[0]! / 2 } })),
  ).rejects.toThrow(/does not allow one round/);
  const { reports } = await simulate(network(), dataset, clients(6), options(STRATEGIES.fedavg, { rounds: 8, share: 0.1, privacy }));
  expect(reports[0]!.epsilon).toBe(privacyLoss({ share: 0.1, noise: 0.3 }, 1, 1e-3).epsilon);
  // Each client comes by itself: some rounds have none of six, and cost all the same.
  expect(new Set(reports.map((each) => each.clients)).size).toBeGreaterThan(1);
  expect(Math.min(...reports.map((each) => each.clients))).toBe(0);
  for (const name of ["median", "scaffold", "fednova"] as const)
    await expect(simulate(network(), dataset, clients(6), options(STRATEGIES[name], { privacy }))).rejects.toThrow(/for the mean of updates alone/);
});

test("a median withstands clients that turn their updates round, and a mean does not", async () => {
  const tamper: SimulationOptions["tamper"] = (update) => (update.client < 2 ? { ...update, delta: update.delta.map((x) => -20 * x) } : update);
  const run = async (strategy: Strategy): Promise<number> =>
    (await simulate(network(), dataset, clients(9), options(strategy, { rounds: 12, share: 1, tamper }))).evaluation.accuracy;
  expect(await run(STRATEGIES.median)).toBeGreaterThan(0.9);
  expect(await run({ ...STRATEGIES.fedavg, combination: { kind: "krum", bad: 2 } })).toBeGreaterThan(0.9);
  expect(await run(STRATEGIES.fedavg)).toBeLessThan(0.8);
});

test("a rule that needs more clients than a round has is refused before it; where clients dropped out the simulation fails", async () => {
  const krum = (bad: number): Strategy => ({ ...STRATEGIES.fedavg, combination: { kind: "krum", bad } });
  const few = simulate(network(), dataset, clients(6), options(krum(2), { share: 1 }));
  await expect(few).rejects.toMatchObject({ code: "misuse", message: expect.stringMatching(/needs 7 of them, and there are 6/) });
  const training: SimulationOptions["training"] = {
    async *train(orders) {
      for await (const order of orders) {
        const delta = new Float32Array(order.start.parameters.length);
        yield [order, order.client < 2 ? null : { client: order.client, delta, samples: 1, steps: 1 }];
      }
    },
  };
  const left = simulate(network(), dataset, clients(6), options(krum(1), { share: 1, training }));
  await expect(left).rejects.toMatchObject({ code: "check-failed", message: expect.stringMatching(/needs 5 of them, and there are 4/) });
});

test("a client whose loss is no number drops out, and the others go on; without any the simulation ends", async () => {
  const damaged = new Set([0, 3]);
  const data = Float32Array.from(await dataset.read(Array.from({ length: SAMPLES }, (_, i) => i)));
  const parts = clients(6);
  for (const client of damaged) for (const position of parts[client]!) data.fill(1e38, position * INPUTS, (position + 1) * INPUTS);
  const given = datasetFromArrays({ data, shape: [INPUTS], labels, classes: ["a", "b", "c"] });
  const { reports, evaluation } = await simulate(network(), given, parts, options(STRATEGIES.fedavg, { rounds: 10, share: 1 }));
  expect(reports.map(({ clients: all, dropped }) => [all, dropped])).toEqual(Array.from({ length: 10 }, () => [6, 2]));
  expect(evaluation.accuracy).toBeGreaterThan(0.9);
  const secure = await simulate(network(), given, parts, options(STRATEGIES.fedavg, { rounds: 1, share: 1, secure: {} }));
  expect(secure.reports[0]).toMatchObject({ clients: 6, dropped: 2, secure: { survivors: 4 } });
  const local = { ...LOCAL, rate: 1e38 };
  await expect(simulate(network(), dataset, clients(6), options(STRATEGIES.fedavg, { local }))).rejects.toThrow(/no client of round 1 could learn/);
});

test("running statistics are averaged, whatever the coordinator's optimizer", async () => {
  const pictures = datasetFromArrays({
    data: Float32Array.from({ length: 24 * 64 }, (_, i) => Math.abs(Math.sin(i * i))),
    shape: [8, 8, 1],
    labels: Array.from({ length: 24 }, (_, i) => i % 2),
    classes: ["a", "b"],
  });
  const normalized = dsCnn({ variant: "digits", size: [8, 8], classes: 2, width: 0.1, seed: 3 });
  const local = { ...LOCAL, epochs: 1, batchSize: 4 };
  const { statistics, length } = new LocalTrainer(normalized, local);
  expect(statistics.length).toBeGreaterThan(2);
  const everything = Int32Array.from({ length: 24 }, (_, i) => i);
  const parts = [everything.slice(0, 12), everything.slice(12)];
  const run = async (strategy: Strategy): Promise<Float32Array> =>
    (await simulate(normalized, pictures, parts, { strategy, local, rounds: 1, share: 1, test: everything })).parameters;
  const [plain, adam, nova] = [await run(STRATEGIES.fedavg), await run(STRATEGIES.fedadam), await run(STRATEGIES.fednova)];
  const inSpans = (vector: Float32Array): number[] => statistics.flatMap(({ from, to }) => [...vector.subarray(from, to)]);
  expect(inSpans(adam)).toEqual(inSpans(plain));
  expect(inSpans(nova)).toEqual(inSpans(plain));
  expect(adam).not.toEqual(plain);
  expect(inSpans(plain).length).toBeLessThan(length);
});

test("clients remember the same in a file as in memory", async () => {
  for (const more of [{ strategy: STRATEGIES.scaffold }, { strategy: STRATEGIES.fedavg, compression: { kind: "topK", share: 0.1 } } as const]) {
    const file = await ClientFile.open();
    const run = async (memory: Partial<SimulationOptions>): Promise<Float32Array> =>
      (await simulate(network(), dataset, clients(6), { ...options(more.strategy), ...more, ...memory })).parameters;
    expect(await run({ memories: file })).toEqual(await run({}));
    await file.close();
  }
});

test("SCAFFOLD's control variates are counted among what travels", async () => {
  const { reports, parameters } = await simulate(network(), dataset, clients(6), options(STRATEGIES.scaffold, { rounds: 1 }));
  expect(reports[0]!.bytes).toBe(3 * 2 * 4 * parameters.length);
});

describe("secure aggregation", () => {
  const run = async (more: Partial<SimulationOptions>) =>
    await simulate(network(), dataset, clients(6), options(STRATEGIES.fedavg, { rounds: 1, share: 1, ...more }));

  test("gives the plain mean to within a fixed-point step", async () => {
    const [plain, secure] = [await run({}), await run({ secure: { clip: 1 } })];
    plain.parameters.forEach((x, i) => expect(Math.abs(secure.parameters[i]! - x)).toBeLessThan(1 / 2 ** 22 + 1e-7));
    expect(secure.parameters).not.toEqual(plain.parameters);
    expect(secure.reports[0]).toMatchObject({ clients: 6, secure: { survivors: 6 } });
    expect(secure.reports[0]!.bytes).toBeGreaterThan(plain.reports[0]!.bytes);
  });

  test("a round that too many leave is given up and changes nothing; with few the others' mean is left", async () => {
    const { parameters, reports } = await run({ secure: { dropOut: 1 } });
    expect(reports[0]!.secure!.survivors).toBe(0);
    expect(parameters).toEqual(start(LOCAL).parameters);
    const some = await run({ secure: { dropOut: 0.2 }, rounds: 12 });
    const survivors = some.reports.map(({ secure }) => secure!.survivors);
    expect(Math.min(...survivors)).toBeLessThan(6);
    expect(some.evaluation.accuracy).toBeGreaterThan(0.9);
  });

  test("is for rounds of 2 to 255 clients", async () => {
    const message = (count: number): RegExp => new RegExp(`2 to 255 clients in a round, and there are ${count}$`);
    await expect(run({ secure: {}, share: 0.1 })).rejects.toMatchObject({ code: "misuse", message: expect.stringMatching(message(1)) });
    const many = Array.from({ length: 256 }, () => positions.subarray(0, 1));
    await expect(simulate(network(), dataset, many, options(STRATEGIES.fedavg, { share: 1, secure: {} }))).rejects.toThrow(message(256));
  });

  test("is for means of all numbers", async () => {
    await expect(run({ secure: {}, compression: { kind: "quantize", bits: 8 } })).rejects.toThrow(/cannot be compressed/);
    await expect(run({ secure: {}, privacy: { clip: 1, noise: 1, delta: 1e-5 } })).rejects.toThrow(/one at a time/);
    await expect(run({ secure: {}, strategy: STRATEGIES.median })).rejects.toThrow(/for the mean of updates alone/);
  });
});

test("clients' rate decays round by round", async () => {
  const reach = async (rounds: number, rateDecay: number): Promise<Float32Array> =>
    (await simulate(network(), dataset, clients(6), options(STRATEGIES.scaffold, { rounds, local: { ...LOCAL, rateDecay } }))).parameters;
  const [one, two, slow] = [await reach(1, 1), await reach(2, 1), await reach(2, 1e-4)];
  const distance = (a: Float32Array, b: Float32Array): number => Math.hypot(...a.map((x, i) => x - b[i]!));
  expect(distance(one, slow)).toBeLessThan(1e-3 * distance(one, two));
  await expect(reach(1, 2)).rejects.toThrow(/rates are multiplied/);
});

describe("a moving average of versions", () => {
  const strategy: Strategy = { ...STRATEGIES.fedavg, averageDecay: 0.9 };
  const run = async (rounds: number, how: Strategy): Promise<Float32Array> =>
    (await simulate(network(), dataset, clients(6), options(how, { rounds }))).parameters;

  test("is what is given back and judged; clients begin with the last version all the same", async () => {
    let expected = start(LOCAL).parameters;
    for (let round = 1; round <= 3; round++) {
      const version = await run(round, STRATEGIES.fedavg);
      const kept = (1 + round) / (10 + round);
      expected = expected.map((average, i) => kept * average + (1 - kept) * version[i]!);
    }
    const averaged = await simulate(network(), dataset, clients(6), options(strategy));
    expect(averaged.parameters).toEqual(expected);
    expect(averaged.evaluation).toEqual(await evaluateOn(averaged.network, dataset, test_));
  });

  test.each<[string, Partial<SimulationOptions>]>([
    ["secure aggregation", { secure: { clip: 1 } }],
    ["privacy", { privacy: { clip: 1, noise: 0.1, delta: 1e-5 } }],
  ])("is one of the same versions with %s", async (_name, more) => {
    const of = async (how: Strategy, rounds: number): Promise<Float32Array> =>
      (await simulate(network(), dataset, clients(6), options(how, { share: 1, rounds, ...more }))).parameters;
    let expected = start(LOCAL).parameters;
    for (let round = 1; round <= 2; round++) {
      const version = await of(STRATEGIES.fedavg, round);
      const kept = (1 + round) / (10 + round);
      expected = expected.map((average, i) => kept * average + (1 - kept) * version[i]!);
    }
    expect(await of(strategy, 2)).toEqual(expected);
  });

  test("keeps a share below 1", async () => {
    await expect(run(1, { ...STRATEGIES.fedavg, averageDecay: 1 })).rejects.toThrow(/the average keeps 1/);
  });
});
