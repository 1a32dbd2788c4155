import { cp, mkdtemp, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { commandsIn, onSmallDisk, type Ran } from "./testing.ts";

let [folder, project] = ["", ""];
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "kinglet-project-"));
  project = join(folder, "tiny");
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** In the project, but for what makes it. */
async function kinglet(...argv: string[]): Promise<Ran> {
  return await commandsIn({ folder: argv[0] === "init" ? folder : project })(...argv);
}

const CONFIG = `export default {
  network: { name: "mlp", options: { hidden: [6] } },
  epochs: 3, batch: 8, optimizer: { kind: "adam" }, schedule: { kind: "constant", rate: 0.02 },
};`;

/** Recordings of two classes: up and down. */
async function recordings(): Promise<string> {
  const rows = Array.from({ length: 60 }, (_, r) =>
    Array.from({ length: 8 }, (_, t) => `${r},${r % 2 ? "up" : "down"},${(r % 2 ? t : -t) + (r % 7) / 7}`),
  );
  const path = join(folder, "moves.csv");
  await writeFile(path, `recording,label,x\n${rows.flat().join("\n")}\n`);
  return path;
}

test("a project goes from init to evaluate, and goes on bit for bit", async () => {
  expect((await kinglet("init", "tiny", "--from", "motion")).code).toBe(0);
  await writeFile(join(project, "kinglet.config.ts"), CONFIG);
  const words = ["--label", "column:label", "--recording", "recording", "--columns", "x", "--window", "8", "--out", join(project, ".kinglet/data")];
  expect((await kinglet("data", "import", await recordings(), ...words)).code).toBe(0);
  expect(await kinglet("train")).toMatchObject({ code: 0 });
  const whole = await readFile(join(project, "model.kinglet"));
  await kinglet("train", "--epochs", "1");
  const resumed = await kinglet("train", "--resume", "--json");
  expect(JSON.parse(resumed.out)).toMatchObject({ judged: { on: "test part" }, epochs: [{ epoch: 0 }, { epoch: 1 }, { epoch: 2 }] });
  expect(await readFile(join(project, "model.kinglet"))).toEqual(whole);
  expect((await kinglet("train", "--resume", "--seed", "9")).err).toMatch(/another seed: 1, now 9/);
  expect((await kinglet("quantize")).code).toBe(0);
  const judged = JSON.parse((await kinglet("evaluate", "--json")).out) as { networks: unknown[] };
  expect(judged.networks).toMatchObject([{ name: "float32" }, { name: "int8" }]);
  expect((await readdir(project)).filter((name) => name.endsWith(".tmp"))).toEqual([]);
});

test("a trained network is pruned and trained on, and what follows takes the pruned one", async () => {
  const { code, out, err } = await kinglet("prune", "--macs", "0.7", "--epochs", "2");
  expect(err).toContain("channels");
  expect(code).toBe(0);
  expect(out).toMatch(/model\.kinglet[\s\S]*model\.pruned\.kinglet/);
  const [whole, pruned] = await Promise.all(["model", "model.pruned"].map((name) => readFile(join(project, `${name}.kinglet`))));
  expect(pruned!.length).toBeLessThan(whole!.length);
  expect((await kinglet("prune", "--macs", "0.8", "--epochs", "2", "--resume")).err).toMatch(/another pruning/);
  expect((await kinglet("prune", "--macs", "0.5", "--weights", "0.5")).code).toBe(2);
  expect(JSON.parse((await kinglet("quantize", "--json")).out)).toMatchObject({ model: join(project, "model.pruned.kinglet") });
  const judged = JSON.parse((await kinglet("evaluate", "--json")).out) as { networks: unknown[] };
  expect(judged.networks).toMatchObject([{ file: "model.kinglet" }, { file: "model.pruned.kinglet" }, { name: "int8" }]);
});

test("a larger network teaches, and the project's own network is written", async () => {
  const larger = join(folder, "larger.kinglet");
  await rename(join(project, "model.kinglet"), larger);
  const { code, err } = await kinglet("distill", "--teacher", larger, "--alpha", "0.5");
  expect([code, err]).toEqual([0, expect.stringContaining("epoch")]);
  expect((await readdir(project)).includes("model.kinglet")).toBe(true);
  // Newer than the pruned one, so it is what follows.
  expect(JSON.parse((await kinglet("quantize", "--json")).out)).toMatchObject({ model: join(project, "model.kinglet") });
  expect((await kinglet("distill", "--teacher", join(folder, "moves.csv"))).code).toBe(1);
});

/** The steps that a project remembers. */
async function steps(): Promise<{ step: string; epochs: unknown[]; noise: { snrDb: unknown }[]; zeros: { zeros: number; of: number }[] }[]> {
  return JSON.parse(await readFile(join(project, "training.json"), "utf8")).steps;
}

test("integers are trained on, bit for bit after a stop, and the project remembers each step", async () => {
  await kinglet("train");
  await kinglet("quantize");
  const whole = await kinglet("quantize", "--aware", "--epochs", "3", "--rate", "0.004");
  expect(whole.err).toMatch(/without this training the integers have \d+\.\d % of the test part right/);
  expect(whole.out).toMatch(/float32 .*model\.kinglet[\s\S]*int8 .*model\.int8\.kinglet[\s\S]*quantization-aware/);
  const trained = await readFile(join(project, "model.int8.kinglet"));
  expect((await steps()).map(({ step }) => step)).toEqual(["trained", "quantized", "quantization-aware"]);
  await kinglet("quantize", "--aware", "--epochs", "1", "--rate", "0.004");
  expect((await kinglet("quantize", "--aware", "--epochs", "3", "--rate", "0.004", "--resume")).code).toBe(0);
  expect(await readFile(join(project, "model.int8.kinglet"))).toEqual(trained);
  expect((await steps()).at(-1)).toMatchObject({ epochs: [{}, {}, {}], noise: [{ snrDb: expect.any(Number) }, {}] });
  expect((await kinglet("quantize", "--aware", "--weights", "int4", "--rate", "0.004", "--resume")).err).toMatch(/another quantization/);
  // What is quantized anew was not trained on.
  await kinglet("quantize");
  expect((await steps()).map(({ step }) => step)).toEqual(["trained", "quantized"]);
});

test("quantization-aware training is refused where it makes no sense", async () => {
  const refusals: [RegExp, ...string[]][] = [
    [/trains on a project's data/, "model.kinglet", "--aware"],
    [/needs integers/, "--aware", "--activations", "float"],
    [/choose one/, "--aware", "--explain"],
    [/the remedy adaround is undone/, "--aware", "--remedy", "adaround"],
    [/--epochs goes with --aware/, "--epochs", "3"],
  ];
  for (const [pattern, ...argv] of refusals) {
    const { code, out, err } = await kinglet("quantize", ...argv);
    expect(err).toMatch(pattern);
    expect([code, out]).toEqual([2, ""]);
  }
});

test("weights that were set to 0 are counted by layer", async () => {
  await kinglet("prune", "--weights", "0.75", "--epochs", "2");
  for (const { zeros, of } of (await steps()).at(-1)!.zeros) expect(zeros / of).toBeCloseTo(0.75, 1);
});

test("the choices of the configuration reach the training, and another one is not resumed", async () => {
  const plain = await readFile(join(project, "model.kinglet"));
  const choices = "labelSmoothing: 0.1, mixup: 0.2, averageDecay: 0.9, dropout: 0.1, clipNorm: 1, classWeights: { up: 2 }, distill: { alpha: 0.5 }";
  await writeFile(join(project, "kinglet.config.ts"), CONFIG.replace("epochs: 3", `epochs: 3, ${choices}`));
  expect((await kinglet("train", "--resume")).err).toMatch(/another labelSmoothing/);
  expect((await kinglet("train")).code).toBe(0);
  expect(await readFile(join(project, "model.kinglet"))).not.toEqual(plain);
  await writeFile(join(project, "kinglet.config.ts"), CONFIG.replace("epochs: 3", 'epochs: 3, freeze: ["logits"]'));
  expect((await kinglet("train", "--start", join(project, "model.kinglet"), "--epochs", "1")).code).toBe(0);
});

test("a full disk costs the running epoch", (context) =>
  onSmallDisk(context, join(folder, "disk"), 600, async () => {
    const disk = join(folder, "disk");
    const onDisk = commandsIn({ folder: disk });
    await cp(join(project, ".kinglet/data"), join(disk, ".kinglet/data"), { recursive: true });
    await writeFile(join(disk, "kinglet.config.ts"), CONFIG.replace("[6]", "[400]"));
    expect((await onDisk("train", "--epochs", "1")).code).toBe(0);
    const before = await readFile(join(disk, ".kinglet/checkpoint"));
    await writeFile(join(disk, "other"), new Uint8Array(2 ** 20)).catch(() => undefined);
    const full = await onDisk("train", "--resume");
    expect(full.err).toMatch(/the disk is full; the last whole epoch is kept\n +kinglet train --resume goes on/);
    expect(await readFile(join(disk, ".kinglet/checkpoint"))).toEqual(before);
    await rm(join(disk, "other"));
    const { epochs } = JSON.parse((await onDisk("train", "--resume", "--json")).out) as { epochs: unknown[] };
    expect(epochs).toHaveLength(3);
  }));

test("a federation learns from the project's data, and says what it cannot play", async () => {
  const { code, out, err } = await kinglet("federate", "simulate", "--clients", "6", "--rounds", "3", "--share", "0.5", "--rate", "0.05");
  expect(code).toBe(0);
  expect(err).toMatch(/6 clients hold 7 samples each; 12 judge/);
  expect(err.match(/round \d\/3 .* 3 clients sent/g)).toHaveLength(3);
  expect(out).toContain("model.federated.kinglet");
  const learned = await readFile(join(project, "model.federated.kinglet"));
  const threads = ["--clients", "6", "--rounds", "3", "--share", "0.5", "--rate", "0.05", "--threads", "2"];
  expect((await kinglet("federate", "simulate", ...threads)).code).toBe(0);
  expect(await readFile(join(project, "model.federated.kinglet"))).toEqual(learned);
  expect(await readFile(join(project, "federation.html"), "utf8")).toContain('aria-label="Right answers by round"');
  const words = ["--clients", "6", "--rounds", "1", "--compress", "4bit", "--clip", "1", "--noise", "1", "--json"];
  const { rounds } = JSON.parse((await kinglet("federate", "simulate", ...words)).out) as { rounds: { epsilon: number; bytes: number }[] };
  expect(rounds).toHaveLength(1);
  expect(rounds[0]!.epsilon).toBeGreaterThan(0);
  const masked = await kinglet("federate", "simulate", "--clients", "4", "--rounds", "2", "--share", "1", "--secure", "--personalise", "3");
  expect(masked.err.match(/4 clients sent .*, 4 added up in/g)).toHaveLength(2);
  expect(masked.out).toMatch(/samples that 4 clients kept back, .* with last layers of their own/);
  const few = await kinglet("federate", "simulate", "--clients", "40", "--rounds", "1", "--share", "0.1", "--personalise", "1");
  expect(few.out).toMatch(/^After 1 round .*\nNo client has enough samples/);
  for (const [wrong, why] of [
    [["--split", "label"], /possible are iid, label:N/],
    [["--compress", "top:2"], /possible are none, 8bit/],
    [["--clip", "1"], /both --clip and --noise/],
    [["--budget", "1"], /needs --clip and --noise/],
    [["--drop-out", "0.1"], /needs --secure/],
    [["--clients", "4", "--secure", "--strategy", "median"], /the mean of updates alone/],
    [["--clients", "1000"], /cannot be spread.*\s+Simulate fewer clients/],
    [["--split", "group"], /samples without a group.*\s+Import it with --group/],
  ] as const) {
    const refused = await kinglet("federate", "simulate", ...wrong);
    expect(refused.code, wrong.join(" ")).toBe(2);
    expect(refused.err).toMatch(why);
  }
  // What contradicts itself is refused where there is nothing to read.
  const nowhere = commandsIn({ folder });
  for (const [wrong, why] of [
    [["--secure", "--strategy", "median"], /the mean of updates alone/],
    [["--secure", "--compress", "8bit"], /cannot be compressed/],
    [["--secure", "--clip", "1", "--noise", "1"], /one at a time/],
    [["--threads", "2", "--queue", "redis://127.0.0.1"], /with --queue others train/],
    [["--strategy", "scaffold", "--clip", "1", "--noise", "1"], /counted for the mean/],
  ] as const)
    expect((await nowhere("federate", "simulate", ...wrong)).err).toMatch(why);
});

test("what a federation learned is quantized and compiled in a project where nothing was trained", async () => {
  const other = join(folder, "federated");
  await cp(project, other, { recursive: true });
  for (const name of ["model.kinglet", "model.pruned.kinglet", "model.int8.kinglet", "training.json"]) await rm(join(other, name), { force: true });
  const inOther = commandsIn({ folder: other });
  expect((await inOther("compile")).err).toMatch(/there is no model.kinglet here/);
  const quantized = await inOther("quantize", join(other, "model.federated.kinglet"), "--json");
  expect(JSON.parse(quantized.out)).toMatchObject({ samples: 42, judged: { on: "test part" }, steps: [{ step: "quantized" }] });
  const judged = JSON.parse((await inOther("evaluate", "--json")).out) as { networks: unknown[] };
  expect(judged.networks).toMatchObject([{ name: "float32 federated" }, { name: "int8" }]);
  expect((await inOther("compile")).code).toBe(0);
});

test("a trained network becomes firmware that learns, as much as there is memory for", async () => {
  const compiled = await kinglet("compile", "--train", "--out", join(folder, "learns"));
  expect(compiled.code).toBe(0);
  expect(compiled.out).toMatch(/learns +biases of the last 2 layers; weights of logits, .*\n.* on floats: NAME_run, then NAME_learn/);
  expect(await readFile(join(folder, "learns", "src", "tiny.h"), "utf8")).toContain("void tiny_learn(void *arena);");
  const head = await kinglet("compile", "--train", "--head-only", "--out", join(folder, "head"), "--json");
  expect(JSON.parse(head.out)).toMatchObject({ learns: ["logits_weights", "logits_bias"], update: { biases: 1, weights: [{ layer: "logits" }] } });
  expect((await kinglet("compile", "--head-only", "--out", join(folder, "web"))).err).toMatch(/--head-only goes with --train/);
  const small = await kinglet("compile", "--train", "--ram", "64", "--out", join(folder, "small"));
  expect(small.code).toBe(1);
  expect(small.err).toMatch(/not memory enough for even the last layer/);
  expect((await kinglet("compile", "--train", "--target", "wasm", "--out", join(folder, "web"))).err).toMatch(/--train is for --target c/);
});

test("wrong fields are told, each in a line", async () => {
  await writeFile(
    join(project, "kinglet.config.ts"),
    `export default { network: { name: "abacus" }, epochs: 0, optimizer: { kind: "adam" }, schedule: { kind: "cosine" }, colour: 1, mixup: 9, distill: { hint: { student: "a" } } };`,
  );
  const { code, out, err } = await kinglet("train");
  expect([code, out]).toEqual([1, ""]);
  for (const field of ["network.name", "epochs", "schedule.rate", "colour", "mixup", "distill.hint.teacher"])
    expect(err).toContain(`\n  ${field} is`);
});
