import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { readKinglet } from "../formats/index.ts";
import { floatSafetensors, keras2, type Named } from "../formats/weights/weights-testing.ts";
import { main } from "./main.ts";

let [folder, project] = ["", ""];
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "kinglet-weights-"));
  project = join(folder, "tiny");
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function kinglet(...argv: string[]): Promise<{ code: number; out: string; err: string }> {
  let [out, err] = ["", ""];
  const at = argv[0] === "init" ? folder : project;
  const code = await main(argv, { out: (text) => void (out += text), err: (text) => void (err += text), folder: at });
  return { code, out, err };
}

const filled = (name: string, shape: readonly number[], value: number): Named => ({
  name,
  shape,
  data: new Float32Array(shape.reduce((a, b) => a * b, 1)).fill(value),
});

/** Two dense layers, as PyTorch has them. */
const TENSORS = [filled("0.weight", [6, 8], 0.25), filled("0.bias", [6], 0.5), filled("2.weight", [2, 6], -0.125), filled("2.bias", [2], 1)];

test("inspect lists the tensors of a file of weights", async () => {
  const [pytorch, keras] = [join(folder, "a.safetensors"), join(folder, "a.h5")];
  await writeFile(pytorch, floatSafetensors(TENSORS));
  await writeFile(keras, await keras2([{ className: "Dense", name: "answer", variables: [filled("kernel", [4, 3], 1), filled("bias", [3], 2)] }]));
  expect((await kinglet("inspect", pytorch)).out).toMatch(/safetensors, 4 tensors, 68 numbers[\s\S]*0\.weight\s+float32\s+\[6,8\]\s+48\n/);
  expect(JSON.parse((await kinglet("inspect", keras, "--json")).out)).toMatchObject({
    format: "Keras HDF5",
    layout: "keras",
    numbers: 15,
    tensors: [
      { name: "answer/kernel", dtype: "float32", shape: [4, 3] },
      { name: "answer/bias", dtype: "float32", shape: [3] },
    ],
  });
  await writeFile(pytorch, floatSafetensors(TENSORS).subarray(0, 90));
  expect(await kinglet("inspect", pytorch)).toMatchObject({ code: 1, out: "", err: expect.stringContaining("does not fit the file") });
});

/** At this rate nothing that is learned can be seen. */
const config = (weights: string): string => `export default {
  network: { name: "mlp", options: { hidden: [6] } },
  weights: ${weights},
  epochs: 1, batch: 8, optimizer: { kind: "sgd" }, schedule: { kind: "constant", rate: 1e-12 },
};`;

async function trainWith(weights: string): Promise<{ code: number; err: string }> {
  await writeFile(join(project, "kinglet.config.ts"), config(weights));
  return await kinglet("train");
}

/** Contents of a constant of the trained network. */
async function trained(name: string): Promise<Float32Array> {
  const { values } = readKinglet(await readFile(join(project, "model.kinglet")), "model.kinglet");
  return values.find((value) => value.name === name)!.data as Float32Array;
}

test("a project starts from the weights that its configuration names", async () => {
  const rows = Array.from({ length: 40 }, (_, r) => Array.from({ length: 8 }, (_, t) => `${r},${r % 2 ? "up" : "down"},${t * (r % 2 ? 1 : -1)}`));
  const csv = join(folder, "moves.csv");
  await writeFile(csv, `recording,label,x\n${rows.flat().join("\n")}\n`);
  await kinglet("init", "tiny", "--from", "motion");
  await kinglet(
    "data",
    "import",
    csv,
    "--label",
    "column:label",
    "--recording",
    "recording",
    "--columns",
    "x",
    "--window",
    "8",
    "--out",
    join(project, ".kinglet/data"),
  );
  await writeFile(join(project, "start.safetensors"), floatSafetensors(TENSORS));
  expect((await trainWith(`"start.safetensors"`)).code).toBe(0);
  for (const x of await trained("dense_1_weights")) expect(x).toBeCloseTo(0.25, 6);
  for (const x of await trained("logits_bias")) expect(x).toBeCloseTo(1, 6);

  expect((await trainWith(`{ file: "start.safetensors", without: ["logits"] }`)).code).toBe(0);
  for (const x of await trained("dense_1_weights")) expect(x).toBeCloseTo(0.25, 6);
  for (const x of await trained("logits_bias")) expect(x).toBeCloseTo(0, 6);
});

test("weights that do not fit, are others now or are not there are refused", async () => {
  await writeFile(join(project, "start.safetensors"), floatSafetensors([...TENSORS.slice(1), filled("4.weight", [3, 3], 1)]));
  const { code, err } = await trainWith(`"start.safetensors"`);
  expect(code).toBe(1);
  expect(err).toMatch(/missing: "dense_1_weights" \[6,8\]\n[\s\S]*surplus: "4\.weight" \[3,3\]/);
  await trainWith(`{ file: "start.safetensors", without: ["logits"] }`);
  await writeFile(join(project, "start.safetensors"), floatSafetensors([...TENSORS.slice(0, 3), filled("2.bias", [2], 3)]));
  expect((await kinglet("train", "--resume")).err).toContain("another set of weights to start from");
  expect((await trainWith(`"nothing.safetensors"`)).err).toContain("no such file");
});

test("a wrong configuration of weights is told by field", async () => {
  expect(
    (await trainWith(`{ file: 3, like: "onnx", without: "logits", colour: 1 }`)).err.split("\n").map((line) => line.trim().split(" ")[0]),
  ).toEqual(expect.arrayContaining(["weights.file", "weights.like", "weights.without", "weights.colour"]));
  expect((await trainWith(`{ file: "a.h5", like: "torchvision" }`)).err).toContain(`which has no "mlp"`);
});
