import { expect, test } from "vitest";
import { bytesOf } from "../base/index.ts";
import { coreById } from "../boards/index.ts";
import { coreTools, needTools } from "../boards/tool-gate.ts";
import { quantizeNetwork } from "../driver/index.ts";
import { storedNumbers } from "../ops/index.ts";
import { learnHere, learnOnCore, type Lesson } from "../train/device-testing.ts";
import { deviceLearning } from "../train/index.ts";
import { dsCnn } from "../zoo/index.ts";
import { loadDigits } from "./digits.ts";

const CLASSES = 10;
const LESSONS = 12;

test("the digit CNN's head learns on an emulated Cortex-M4 to the same int8 weights as here", async (context) => {
  needTools(context, ...coreTools(coreById("cortex-m4")));
  const { dataset, split } = loadDigits();
  const few = split.train.filter((_, i) => i % 100 === 0).subarray(0, 16);
  const pictures = await Promise.all([...few].map(async (at) => Float32Array.from(await dataset.read(Int32Array.of(at)))));
  const { graph } = quantizeNetwork(
    dsCnn({ variant: "digits" }),
    pictures.map((picture) => [bytesOf(picture)]),
    { io: "int8" },
  );
  const lessons = pictures.slice(0, LESSONS).map((picture, k): Lesson => {
    const targets = Float32Array.from({ length: CLASSES }, (_, c) => (c === dataset.index.labels[few[k]!] ? 1 : 0));
    return [storedNumbers(graph.inputs[0]!, picture), targets, Float32Array.of(0.05)];
  });
  const learning = deviceLearning(graph, { headOnly: true });
  expect(learning.step.trained.map(({ variable: { name, value } }) => `${name}: ${value.dtype}`)).toEqual([
    "logits_weights: int8",
    "logits_bias: int32",
  ]);
  const here = learnHere(learning, lessons);
  expect(here.changed).toBeGreaterThan(100);
  expect(await learnOnCore(learning, lessons)).toContain(here.output);
});
