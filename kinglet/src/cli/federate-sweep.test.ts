import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { needRedis, newRedisIfThere, type TestServer } from "../federated/coordinator/servers-testing.ts";
import { main } from "./main.ts";
import type { SweepFile } from "./sweep-results.ts";
import { commandsIn, type Ran } from "./testing.ts";

let [folder, project] = ["", ""];
let redis: TestServer | null;
beforeAll(async () => {
  redis = await newRedisIfThere();
  folder = await mkdtemp(join(tmpdir(), "kinglet-sweep-"));
  project = join(folder, "tiny");
  await commandsIn({ folder })("init", "tiny", "--from", "motion");
  await writeFile(
    join(project, "kinglet.config.ts"),
    `export default { network: { name: "mlp", options: { hidden: [4] } }, epochs: 3, batch: 8, optimizer: { kind: "adam" }, schedule: { kind: "constant", rate: 0.02 } };`,
  );
  const rows = Array.from({ length: 60 }, (_, r) => Array.from({ length: 4 }, (_, t) => `${r},${r % 2 ? "up" : "down"},${r % 2 ? t : -t}`));
  await writeFile(join(folder, "moves.csv"), `recording,label,x\n${rows.flat().join("\n")}\n`);
  const words = ["--label", "column:label", "--recording", "recording", "--columns", "x", "--window", "4", "--out", join(project, ".kinglet/data")];
  expect((await kinglet("data", "import", join(folder, "moves.csv"), ...words)).code).toBe(0);
});
afterAll(async () => {
  await redis?.end();
  await rm(folder, { recursive: true, force: true });
});

const kinglet = (...argv: string[]): Promise<Ran> => commandsIn({ folder: project })(...argv);
const SMALL = ["--clients", "4", "--rounds", "3", "--share", "0.5", "--until", "0.99"];
const sweepFile = async (name = "sweep.json"): Promise<SweepFile> => JSON.parse(await readFile(join(project, name), "utf8")) as SweepFile;

/** `federate work` as typed while `use` runs; gives what it said. */
async function whileWorking(url: string, use: () => Promise<void>): Promise<Ran> {
  let [out, err] = ["", ""];
  let stop: () => void = () => {};
  const onStop = (asked: () => void): (() => void) => {
    stop = asked;
    return () => {};
  };
  const io = { folder: project, out: (text: string) => void (out += text), err: (text: string) => void (err += text), onStop };
  const code = main(["federate", "work", url], io);
  await use();
  stop();
  return { code: await code, out, err };
}

test("a sweep tries every combination, can be stopped and gone on with, and is not mixed with another", async () => {
  const words = ["federate", "sweep", ...SMALL, "--rate", "0.3,1000", "--seed", "1,2"];
  // Ctrl-C once the first combination is done.
  let [err, stop] = ["", (): void => {}];
  const hear = (text: string): void => {
    err += text;
    if (text.startsWith("1 of 4")) stop();
  };
  const onStop = (asked: () => void): (() => void) => {
    stop = asked;
    return () => {};
  };
  expect(await main(words, { folder: project, out: () => {}, err: hear, onStop })).toBe(1);
  expect(err).toMatch(/4 combinations, 0 done before\n1 of 4: strategy fedavg, epochs 1, batch 10, rate 0.3, seed 1: best/);
  expect(err).toMatch(/stopped/);
  const [first, ...others] = (await sweepFile()).results;
  expect(others).toEqual([]);

  const whole = await kinglet(...words);
  expect(whole.err).toMatch(/4 combinations, 1 done before\n2 of 4/);
  expect(whole.out).toMatch(/Strategy +Epochs +Batch +Rate +Seed +Best +Rounds +To 99.0 % +Bytes/);
  const { results } = await sweepFile();
  expect(results.map(({ rate, seed }) => [rate, seed])).toEqual([
    [0.3, 1],
    [0.3, 2],
    [1000, 1],
    [1000, 2],
  ]);
  expect(results[0]).toEqual(first);
  expect(results[0]!.best).toBeGreaterThan(results[2]!.best);
  const csv = (await readFile(join(project, "sweep.csv"), "utf8")).trim().split("\n");
  expect(csv[0]).toBe("strategy,epochs,batch,rate,seed,rounds,best,last,reached,bytes,epsilon,failed");
  expect(csv).toHaveLength(5);

  const swapped = ["--until", "0.99", "--share", "0.5", "--rounds", "3", "--clients", "4"];
  expect((await kinglet("federate", "sweep", ...swapped, "--seed", "1,2", "--rate", "0.3,1000")).err).toMatch(/4 combinations, 4 done before/);
  const more = await kinglet(...words.map((word) => (word === "0.3,1000" ? "0.3,0.1" : word)), "--json");
  expect(more.err).toMatch(/4 combinations, 2 done before/);
  expect((JSON.parse(more.out) as SweepFile).results.map(({ rate }) => rate)).toEqual([0.3, 0.3, 0.1, 0.1]);
  const other = await kinglet(...words, "--share", "1");
  expect(other).toMatchObject({ code: 2, err: expect.stringMatching(/other settings[\s\S]*--out/) });
  expect((await kinglet("federate", "sweep", "--strategy", "fedavg,best")).code).toBe(2);
  const contradiction = await kinglet("federate", "sweep", ...SMALL, "--share", "1", "--secure", "--strategy", "fedavg,scaffold");
  expect(contradiction).toMatchObject({ code: 2, err: expect.stringMatching(/^(?!.*combinations)[\s\S]*for the mean of updates alone/) });
});

test("what fails is a result of its combination", async () => {
  const words = ["--clip", "1", "--noise", "1", "--budget", "0.01", "--out", join(project, "budget.json"), "--json"];
  const { out } = await kinglet("federate", "sweep", ...SMALL, ...words);
  expect((JSON.parse(out) as SweepFile).results).toMatchObject([{ rounds: 0, failed: expect.stringMatching(/budget does not allow one round/) }]);
});

test("a sweep and a simulation over a queue give what they give here", async (context) => {
  const { url } = needRedis(context, redis);
  const sweep = ["federate", "sweep", ...SMALL, "--strategy", "fedavg,scaffold", "--rate", "0.05,0.3"];
  expect((await kinglet(...sweep, "--out", join(project, "here.json"))).code).toBe(0);
  const simulation = ["federate", "simulate", ...SMALL, "--strategy", "scaffold", "--compress", "top:0.2"];
  expect((await kinglet(...simulation)).code).toBe(0);
  const alone = await readFile(join(project, "model.federated.kinglet"));
  const worker = await whileWorking(url, async () => {
    expect((await kinglet(...sweep, "--queue", url, "--out", join(project, "queued.json"))).code).toBe(0);
    expect((await kinglet(...simulation, "--queue", url)).code).toBe(0);
  });
  const byText = ({ results }: SweepFile): string[] => results.map((result) => JSON.stringify(result)).sort();
  expect(byText(await sweepFile("queued.json"))).toEqual(byText(await sweepFile("here.json")));
  expect(await readFile(join(project, "model.federated.kinglet"))).toEqual(alone);
  expect(worker).toMatchObject({ code: 0, out: "10 jobs done.\n" });
  expect(worker.err).toMatch(/waiting for work on "tiny" \(60 samples, SHA-256 [0-9a-f]{16}…\); Ctrl-C ends\na simulation took/);
  expect((await kinglet(...simulation, "--queue", "redis://:secret@127.0.0.1:1")).err).toMatch(/redis:\/\/127.0.0.1:1: the Redis cannot be used: /);
});
