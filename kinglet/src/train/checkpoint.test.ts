import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Xorshift32 } from "../base/index.ts";
import { datasetFromArrays, splitDataset } from "../data/index.ts";
import { mlp } from "../zoo/index.ts";
import { checkAgreed, type Checkpoint, type ClassifierOptions, decodeCheckpoint, encodeCheckpoint, readCheckpoint } from "./index.ts";
import { type EpochReport, type TrainingSession, trainClassifier, writeCheckpoint } from "./index.ts";

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "kinglet-checkpoint-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Two noisy classes of four numbers. */
function tiny(): ReturnType<typeof datasetFromArrays> {
  const random = new Xorshift32(5);
  const labels = Int32Array.from({ length: 40 }, (_, i) => i % 2);
  const data = Float32Array.from({ length: 160 }, (_, i) => random.float() + (labels[i >> 2] === 1 ? 0.8 : -0.8));
  return datasetFromArrays({ shape: [4, 1], data, labels, classes: ["low", "high"] });
}

const dataset = tiny();
const split = splitDataset(dataset, { test: 0.2 });
const network = mlp({ inputs: 4, hidden: [5], classes: 2 });

async function train(extra: Partial<ClassifierOptions>): Promise<number[]> {
  const options = { epochs: 4, batchSize: 8, optimizer: { kind: "adam" }, schedule: { kind: "cosine", rate: 0.02 }, ...extra } as const;
  const { network: trained } = await trainClassifier(network, dataset, split, options);
  return trained.values.flatMap((value) => (value.data === undefined ? [] : Array.from(value.data as Float32Array)));
}

const kept = (epochs: number, reports: readonly EpochReport[], session: TrainingSession): Checkpoint => ({
  epochs,
  agreed: { seed: "1" },
  reports,
  state: session.save(),
});

test("four epochs at once equal two, a checkpoint on disk, and two more", async () => {
  const path = join(folder, "half.checkpoint");
  const stop = new AbortController();
  const interrupted = train({
    signal: stop.signal,
    onEpoch: async (report, session) => {
      if (report.epoch !== 1) return;
      await writeCheckpoint(path, kept(2, [report], session));
      throw new Error("killed");
    },
  });
  await expect(interrupted).rejects.toThrow("killed");
  const checkpoint = await readCheckpoint(path);
  const resumed = await train({ resume: { epochs: checkpoint.epochs, restore: (session) => session.restore(checkpoint.state) } });
  expect(resumed).toEqual(await train({}));
  expect(await readdir(folder)).toEqual(["half.checkpoint"]);
});

const EXAMPLE: Checkpoint = {
  epochs: 3,
  agreed: { network: "mlp", seed: "7" },
  reports: [{ epoch: 0, loss: 1, accuracy: 0.5, rate: 0.1, samples: 8, seconds: 1, validation: null }],
  state: {
    steps: 12,
    variables: new Map([
      ["weights", Float32Array.of(1, -0, 3e-39)],
      ["bias", new Float32Array(0)],
    ]),
  },
};

test("what is written is read, every bit", () => {
  expect(decodeCheckpoint(encodeCheckpoint(EXAMPLE), "x")).toEqual(EXAMPLE);
});

test("any damaged byte and any cut end in one typed error", () => {
  const good = encodeCheckpoint(EXAMPLE);
  for (let at = 0; at < good.length; at++) {
    const bad = good.slice();
    bad[at] = bad[at]! ^ 0x55;
    expect(() => decodeCheckpoint(bad, "x"), `byte ${at}`).toThrow(expect.objectContaining({ code: "bad-file" }));
    expect(() => decodeCheckpoint(good.slice(0, at), "x"), `cut at ${at}`).toThrow(expect.objectContaining({ code: "bad-file" }));
  }
});

test("a checkpoint that is missing, no checkpoint, or of another training is refused", async () => {
  await expect(readCheckpoint(join(folder, "none"))).rejects.toThrow(/no checkpoint/);
  await writeFile(join(folder, "text"), "Dear checkpoint,");
  await expect(readCheckpoint(join(folder, "text"))).rejects.toThrow(/not a checkpoint/);
  await expect(readCheckpoint(folder)).rejects.toThrow(/not a checkpoint/);
  expect(() => checkAgreed(EXAMPLE, { network: "mlp", seed: "8" }, "x")).toThrow(/another seed: 7, now 8/);
});

test("a write that fails leaves the checkpoint before it", async () => {
  const path = join(folder, "kept");
  await writeCheckpoint(path, EXAMPLE);
  const before = await readFile(path);
  const broken = { ...EXAMPLE, state: { steps: 1, variables: null as never } };
  await expect(writeCheckpoint(path, broken)).rejects.toThrow();
  expect(await readFile(path)).toEqual(before);
  expect((await readdir(folder)).filter((name) => name.endsWith(".tmp"))).toEqual([]);
});

test("a signal ends a training between batches", async () => {
  const stop = new AbortController();
  stop.abort();
  const slow = train({ signal: stop.signal, onBatch: () => void Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 60) });
  await expect(slow).rejects.toMatchObject({ code: "interrupted" });
});

test("what a killed process left half written goes, and what another one writes stays", async () => {
  const path = join(folder, "stale.checkpoint");
  // No system numbers its processes so high; the first one always runs.
  await Promise.all(["999999999", "1"].map((writer) => writeFile(`${path}.${writer}.tmp`, "half")));
  await writeCheckpoint(path, EXAMPLE);
  expect((await readdir(folder)).filter((name) => name.startsWith("stale"))).toEqual(["stale.checkpoint", "stale.checkpoint.1.tmp"]);
});
