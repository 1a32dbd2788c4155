import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test, type TestContext } from "vitest";
import { KingletError } from "../base/index.ts";
import { coreById } from "../boards/index.ts";
import { coreTools, needTools } from "../boards/tool-gate.ts";
import { readModel } from "../formats/index.ts";
import { needShared } from "../formats/test-files.ts";
import type { Graph } from "../graph/index.ts";
import { mobilenetV2 } from "../zoo/index.ts";
import { compileGraph } from "./compile.ts";
import { type Execution, type ExecuteOptions, execute, type Via } from "./execute.ts";
import { seededSample } from "./samples.ts";

/** Arena bytes that plans by rows stay within on the Cortex-M4: with the image whole, with it streamed, and with some rows computed again. `asked`: when told to. */
const LIMITS: Readonly<Record<string, { readonly fused: number; readonly streamed: number; readonly traded?: number; readonly asked?: true }>> = {
  kws: { fused: 5_600, streamed: 4_200 },
  vww96: { fused: 30_500, streamed: 11_400, asked: true },
  person_detect: { fused: 30_500, streamed: 11_400, asked: true },
  resnet8: { fused: 18_000, streamed: 15_000 },
  mcunet_vww: { fused: 76_900, streamed: 15_600, traded: 12_100 },
};

function model(context: TestContext, name: string): Graph {
  return readModel(readFileSync(join(needShared(context, "golden"), name, "model.tflite")), name);
}

function gate(context: TestContext, via: Via): void {
  needTools(context, ...(via === "c" ? (["cc"] as const) : coreTools(coreById("cortex-m4"))));
}

const plainOutputs = new WeakMap<Graph, Promise<string[][]>>();

function hexOf({ outputs }: Execution): string[][] {
  return outputs.map((sample) => sample.map((bytes) => Buffer.from(bytes).toString("hex")));
}

/** What two samples give by the plain loops, once for each network. */
function expectedOutputs(graph: Graph): Promise<string[][]> {
  const known = plainOutputs.get(graph) ?? execute(graph, "plain", [seededSample(graph, 1), seededSample(graph, 2)]).then(hexOf);
  plainOutputs.set(graph, known);
  return known;
}

/** Runs two samples one after the other, so that what the first leaves behind meets the second. */
async function expectEqual(graph: Graph, via: Via, options: ExecuteOptions): Promise<number> {
  const samples = [seededSample(graph, 1), seededSample(graph, 2)];
  const run = await execute(graph, via, samples, options);
  expect(run.warnings).toBe("");
  expect(run.compiled.program.stages?.length).toBeGreaterThan(0);
  expect(hexOf(run)).toEqual(await expectedOutputs(graph));
  return run.compiled.plan.arenaBytes;
}

describe("networks by rows compute what they compute by whole images", () => {
  const small = mobilenetV2({ width: 0.35, resolution: 32, precision: "int8", classes: 10 });

  for (const via of ["c", "cortex-m4"] as const) {
    test(`MobileNetV2 at 32, ${via}`, async (context) => {
      gate(context, via);
      const streamed = await expectEqual(small, via, { streamInput: true });
      const fused = await expectEqual(small, via, { fuse: true });
      expect(streamed).toBeLessThan(fused);
      expect(fused).toBeLessThan(compileGraph(small, { target: "c-dsp" }).plan.arenaBytes);
      expect(await expectEqual(small, via, { streamInput: true, trade: 1.2 })).toBeLessThan(streamed);
    });
  }

  for (const [name, { fused, streamed, traded, asked }] of Object.entries(LIMITS)) {
    test(`${name} within ${fused} bytes, ${streamed} with a streamed input`, async (context) => {
      const graph = model(context, name);
      gate(context, "cortex-m4");
      if (name !== "mcunet_vww") expect(await expectEqual(graph, "cortex-m4", { fuse: true })).toBeLessThanOrEqual(fused);
      const limit = asked === true ? { ram: streamed } : {};
      expect(await expectEqual(graph, "cortex-m4", { streamInput: true, ...limit })).toBeLessThanOrEqual(streamed);
    });
    if (traded === undefined) continue;
    test(`${name} within ${traded} bytes with a streamed input and some rows computed again`, async (context) => {
      const graph = model(context, name);
      gate(context, "cortex-m4");
      expect(await expectEqual(graph, "cortex-m4", { streamInput: true, trade: 1.2 })).toBeLessThanOrEqual(traded);
    });
  }
});

describe("a limit of memory", () => {
  const graph = mobilenetV2({ width: 0.35, resolution: 32, precision: "int8", classes: 10 });
  const images = compileGraph(graph, { target: "c" }).plan.arenaBytes;

  test("is met by whole images where they fit, else by rows", () => {
    expect(compileGraph(graph, { target: "c", ram: images }).program.stages).toEqual([]);
    const rows = compileGraph(graph, { target: "c", ram: images - 1 });
    expect(rows.plan.arenaBytes).toBeLessThan(images);
    expect(rows.program.stages?.length).toBeGreaterThan(0);
  });

  test("that nothing meets is answered with what each way needs", () => {
    const refused = (): unknown => compileGraph(graph, { target: "c", ram: 100 });
    expect(refused).toThrow(KingletError);
    try {
      refused();
    } catch (error) {
      expect((error as KingletError).code).toBe("does-not-fit");
      expect((error as KingletError).hint).toMatch(/\d+ bytes by whole images; \d+ by rows; \d+ by rows with a streamed input/);
    }
  });

  test("is not met by rows where the target has none", () => {
    expect(() => compileGraph(graph, { target: "wasm", fuse: true })).toThrow(/only C/);
    expect(() => compileGraph(graph, { target: "js", ram: 100 })).toThrow(/needs an arena/);
  });
});
