import { describe, expect, test } from "vitest";
import { Xorshift32 } from "../base/index.ts";
import { coreById } from "../boards/index.ts";
import { coreTools, needTools } from "../boards/tool-gate.ts";
import { compileGraph, makeArtefact } from "../driver/index.ts";
import { cnn1d, dsCnn, mlp } from "../zoo/index.ts";
import { learnHere, learnOnCore, type Lesson } from "./device-testing.ts";
import { type DeviceLearning, deviceLearning } from "./index.ts";

const CLASSES = 3;
const network = (): ReturnType<typeof cnn1d> => cnn1d({ length: 16, inputChannels: 2, classes: CLASSES, width: 0.25 });
const arenaOf = ({ step }: DeviceLearning): number => compileGraph(step.graph, { target: "c-dsp" }).plan.arenaBytes;

function lessons(length: number, count: number): Lesson[] {
  const random = new Xorshift32(7);
  return Array.from({ length: count }, (_, k) => {
    const targets = Float32Array.from({ length: CLASSES }, (_x, c) => (c === k % CLASSES ? 1 : 0));
    return [Float32Array.from({ length }, () => random.float()), targets, Float32Array.of(0.05)];
  });
}

describe("how much learns", () => {
  test("everything, where nobody limits it", () => {
    const { trained, update } = deviceLearning(network());
    expect(update.biases).toBe(5);
    expect(update.weights.every(({ channels, of }) => channels === of)).toBe(true);
    expect(trained).toHaveLength(10);
  });

  test("as much as the arena has room for", () => {
    const most = arenaOf(deviceLearning(network()));
    const found = [most, 0.8 * most, 0.5 * most].map((ram) => {
      const learning = deviceLearning(network(), { limit: { ram, arenaBytes: arenaOf } });
      expect(arenaOf(learning)).toBeLessThanOrEqual(ram);
      return learning.update.weights.reduce((sum, { channels, of }) => sum + channels / of, 0);
    });
    expect(found[0]).toBe(5);
    expect(found).toEqual([...found].sort((a, b) => b - a));
    expect(found[2]).toBeGreaterThan(0);
    expect(found[2]).toBeLessThan(5);
  });

  test("the head only", () => {
    const { trained, update } = deviceLearning(network(), { headOnly: true });
    expect(update).toEqual({ biases: 1, weights: [{ layer: "logits", channels: 16, of: 16 }] });
    expect(trained).toEqual(["logits_weights", "logits_bias"]);
  });

  test("normalizations are folded, and their layers learn", () => {
    const { trained, step } = deviceLearning(dsCnn({ variant: "digits", width: 0.25, size: [8, 8], classes: CLASSES }));
    expect(step.graph.nodes.filter(({ op }) => op.startsWith("batchNorm"))).toEqual([]);
    expect(trained.length).toBeGreaterThan(2);
  });

  test("less memory than the last layer needs is refused", () => {
    expect(() => deviceLearning(network(), { limit: { ram: 100, arenaBytes: arenaOf } })).toThrow(/not memory enough/);
  });
});

test("an emulated Cortex-M4 learns the same, bit for bit, sample after sample", async (context) => {
  needTools(context, ...coreTools(coreById("cortex-m4")));
  const learning = deviceLearning(network());
  const given = lessons(32, 6);
  const { output, changed } = learnHere(learning, given);
  expect(changed).toBeGreaterThan(100);
  expect(await learnOnCore(learning, given)).toContain(output);
});

test("a library that learns has a call for it, and says how to use it", async () => {
  const { step, learnsAfter } = deviceLearning(mlp({ inputs: 8, hidden: [4], classes: CLASSES }));
  const { files } = await makeArtefact(step.graph, { target: "c", id: "net", learnsAfter });
  const text = (name: string): string => String(files.get(name));
  expect(text("src/net.h")).toContain("void net_learn(void *arena);");
  const [run, learn] = text("src/net.c").split("void net_learn(void *memory)") as [string, string];
  expect(learn).toContain("descent_update");
  expect(run.slice(run.lastIndexOf("void net_run"))).not.toContain("descent_update");
  expect(text("README.md")).toContain("net_learn(arena);");
});
