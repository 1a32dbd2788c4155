import { describe, expect, test, type TestContext } from "vitest";
import { toolReport } from "../kinglet/src/boards/index.ts";
import { needTools } from "../kinglet/src/boards/tool-gate.ts";
import { needShared } from "../kinglet/src/formats/test-files.ts";
import type { Job } from "./jobs.ts";
import { measureRun } from "./measure.ts";
import { differences, loadMcu, type McuRun, merge, resultsText, runKey } from "./results.ts";
import { subjects } from "./subjects.ts";

const STORED = loadMcu();
const COMPILER = "arm-none-eabi-gcc";

/** Other versions of the compiler give other code. */
function needCompiler(context: TestContext): void {
  needTools(context, COMPILER, "qemu-system-arm");
  const here = toolReport().find(({ id }) => id === COMPILER)!.version;
  if (here === STORED.tools[COMPILER]) return;
  const reason = `needs ${STORED.tools[COMPILER]}, whose figures are stored; here is ${here}`;
  if (process.env["CI"]) throw new Error(reason);
  context.skip(reason);
}

// The rest of the stored figures: npm run bench -- --check. After a change that is meant: npm run bench -- --save.
describe("bytes and instructions are as stored, to the digit", () => {
  const jobs: readonly (readonly [string, Job["goal"]])[] = [
    ["kws", "balanced"],
    ["kws", "speed"],
    ["ad01", "balanced"],
    ["ad01", "speed"],
  ];
  for (const [model, goal] of jobs) {
    test(`${model} on the Cortex-M4, ${goal}`, async (context) => {
      needShared(context, `golden/${model}/model.tflite`);
      needCompiler(context);
      const run = await measureRun(subjects([model]).list[0]!, { core: "cortex-m4", goal, plan: "default" });
      if ("skipped" in run) throw new Error(run.skipped);
      const changed = differences(STORED.runs, [run]);
      expect(changed, `${changed.join("\n")}\nIf this is meant: npm run bench -- --save`).toEqual([]);
    });
  }
});

describe("the comparison", () => {
  const run: McuRun = {
    ...{ model: "kws", core: "cortex-m4", goal: "speed", plan: "default" },
    ...{ instructions: 1_000_000, arenaBytes: 512, lowerBoundBytes: 512, stackBytes: 100, codeBytes: 2000, weightBytes: 3000 },
  } as const;

  test("names the model, the core, the goal and the figure, with both values", () => {
    const slower = { ...run, instructions: 1_020_000, codeBytes: 1990 };
    expect(differences([run], [slower])).toEqual([
      "kws on cortex-m4, speed: instructions was 1,000,000 and is 1,020,000 (+2.00 %)",
      "kws on cortex-m4, speed: codeBytes was 2,000 and is 1,990 (-0.50 %)",
    ]);
    expect(differences([run], [{ ...run }])).toEqual([]);
  });

  test("one instruction is the timer's tick, one byte is a byte", () => {
    expect(differences([run], [{ ...run, instructions: 1_000_001 }])).toEqual([]);
    expect(differences([run], [{ ...run, instructions: 1_000_002, arenaBytes: 513 }])).toHaveLength(2);
  });

  test("an improvement is a difference too, and a run without a stored figure is named", () => {
    expect(differences([run], [{ ...run, instructions: 999_960 }])).toHaveLength(1);
    expect(differences([], [run])).toEqual(["kws on cortex-m4, speed: there is no stored figure"]);
  });

  test("new runs take the places of old ones, and the text reads back", () => {
    const [other, newer] = [
      { ...run, model: "ad01" },
      { ...run, instructions: 5 },
    ];
    const merged = merge([run, other], [newer], runKey);
    expect(merged).toEqual([other, newer]);
    const results = { tools: { gcc: "12" }, models: [], runs: merged };
    expect(JSON.parse(resultsText(results))).toEqual(results);
  });
});
