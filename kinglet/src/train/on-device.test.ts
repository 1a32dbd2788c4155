import { describe, expect, test } from "vitest";
import { bytesOf, Xorshift32 } from "../base/index.ts";
import { coreById, runOnCore } from "../boards/index.ts";
import { coreTools, needTools } from "../boards/tool-gate.ts";
import { compileGraph, makeArtefact } from "../driver/index.ts";
import { prepareForQuantization } from "../passes/index.ts";
import { inputBytes, printCLibrary } from "../targets/c/index.ts";
import { cnn1d, dsCnn, mlp } from "../zoo/index.ts";
import { type DeviceLearning, deviceLearning, TrainingSession } from "./index.ts";

const CLASSES = 3;
const network = (): ReturnType<typeof cnn1d> => cnn1d({ length: 16, inputChannels: 2, classes: CLASSES, width: 0.25 });
const arenaOf = ({ step }: DeviceLearning): number => compileGraph(step.graph, { target: "c-dsp" }).plan.arenaBytes;

/** What a device is given in a row: a sample, its class as targets, and the rate. */
function lessons(length: number, count: number): Float32Array[][] {
  const random = new Xorshift32(7);
  return Array.from({ length: count }, (_, k) => {
    const targets = Float32Array.from({ length: CLASSES }, (_x, c) => (c === k % CLASSES ? 1 : 0));
    return [Float32Array.from({ length }, () => random.float()), targets, Float32Array.of(0.05)];
  });
}

describe("how much learns", () => {
  test("everything, where nobody limits it", () => {
    const { trained, update } = deviceLearning(network());
    expect(update).toEqual({ layers: 5, biases: 0 });
    expect(trained).toHaveLength(10);
  });

  test("whole layers from the end, then biases, as many as the arena has room for", () => {
    const most = arenaOf(deviceLearning(network()));
    const found = [most, 0.8 * most, 0.5 * most].map((limit) => {
      const learning = deviceLearning(network(), (each) => arenaOf(each) <= limit);
      expect(arenaOf(learning)).toBeLessThanOrEqual(limit);
      return learning.trained.length;
    });
    expect(found[0]).toBe(10);
    expect(found).toEqual([...found].sort((a, b) => b - a));
    expect(found[2]).toBeGreaterThanOrEqual(2);
    expect(found[2]).toBeLessThan(10);
  });

  test("normalizations are folded, and their layers learn", () => {
    const { trained, step } = deviceLearning(dsCnn({ variant: "digits", width: 0.25, size: [8, 8], classes: CLASSES }));
    expect(step.graph.nodes.filter(({ op }) => op.startsWith("batchNorm"))).toEqual([]);
    expect(trained.length).toBeGreaterThan(2);
  });

  test("less memory than the last layer needs is refused", () => {
    expect(() => deviceLearning(network(), () => false)).toThrow(/not memory enough/);
  });
});

/** Firmware that is prepared once, learns from all lessons in a row, and prints losses, results and the first weights. */
function learner(
  id: string,
  count: number,
  bytes: number,
  parts: readonly number[],
  weights: { readonly offset: number; readonly bytes: number },
): string {
  const fills = parts.map(
    (length, i) => `memcpy(${id}_input${i}(arena), sample + ${parts.slice(0, i).reduce((sum, each) => sum + each, 0)}, ${length});`,
  );
  return `#include <string.h>
#include "kinglet_board.h"
#include "${id}.h"
extern const unsigned char samples_bin[];
static uint8_t arena[${id.toUpperCase()}_ARENA_BYTES] __attribute__((aligned(16)));
int main(void) {
  ${id}_init(arena);
  for (int k = 0; k < ${count}; k++) {
    const unsigned char *sample = samples_bin + k * ${bytes};
    ${fills.join("\n    ")}
    ${id}_run(arena);
    ${id}_learn(arena);
    board_print_hex(${id}_output0(arena), 4);
  }
  board_print_hex(arena + ${weights.offset}, ${weights.bytes});
  return 0;
}
`;
}

test("an emulated Cortex-M4 learns the same, bit for bit, sample after sample", async (context) => {
  needTools(context, ...coreTools(coreById("cortex-m4")));
  const learning = deviceLearning(network());
  const { program, plan } = compileGraph(learning.step.graph, { target: "c-dsp", learnsAfter: learning.learnsAfter });
  const given = lessons(32, 6);
  const last = learning.step.state.find(({ name }) => name === "logits_weights")!;
  const buffer = program.buffers.findIndex(({ value }) => value === last.value.id);
  const weights = { offset: plan.offsets[buffer]!, bytes: 4 * program.buffers[buffer]!.length };
  const { output } = await runOnCore({
    core: "cortex-m4",
    sources: {
      ...Object.fromEntries(printCLibrary(program, plan, "net")),
      "main.c": learner("net", given.length, inputBytes(program), [32 * 4, CLASSES * 4, 4], weights),
      "samples.bin": Uint8Array.from(given.flat().flatMap((part) => [...bytesOf(part)])),
    },
  });
  const session = new TrainingSession(prepareForQuantization(network()), { optimizer: { kind: "sgd", momentum: 0 } }, "plain");
  const losses = given.map(([data, targets, rate]) => session.run([data!], targets!, rate![0]!).loss);
  const hex = (values: Float32Array): string => [...bytesOf(values)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  expect(output).toContain(hex(Float32Array.from(losses)) + hex(session.variable("logits_weights")));
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
