import { readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test, type TestContext } from "vitest";
import { KingletError } from "../base/index.ts";
import { readModel } from "../formats/index.ts";
import { needShared, zippedFiles } from "../formats/test-files.ts";
import { runPasses } from "../passes/index.ts";
import {
  FLOAT_DIFFERENCE,
  FLOAT_MODELS,
  ONNX_DIFFERENCE,
  ONNX_MODELS,
  QUANTIZED_MODELS,
  QUANTIZED_ONNX_DIFFERENCE,
  REFUSED_FILES,
} from "./zoo-models.ts";
import { readZooGolden, readZooGraph, runZooModel, type ZooResult, type ZooVia } from "./zoo-testing.ts";

/** Its results are places where maps are largest, and maps of random pictures have no peak: one step moves a place anywhere. */
const POSE = "coral-movenet_single_pose_lightning_ptq";
const REFUSED_MODEL = "mediapipe-selfie_segmentation";

function run(context: TestContext, model: string, via: ZooVia): ZooResult {
  const folder = needShared(context, join("golden-zoo", model));
  return runZooModel(readZooGolden(folder), folder, needShared(context, "data"), via);
}

describe("zoo: float models agree with another engine", () => {
  for (const model of FLOAT_MODELS) {
    test(model, (context) => {
      const { outputs, taps, largest } = run(context, model, "wasm");
      expect(Math.max(outputs, taps) / Math.max(1, largest)).toBeLessThanOrEqual(FLOAT_DIFFERENCE);
    });
  }
});

describe("zoo: ONNX models agree with another engine, and run channels last", () => {
  for (const [model, transposes] of Object.entries(ONNX_MODELS)) {
    test(`${model}, ${transposes} transposes left`, (context) => {
      const folder = needShared(context, join("golden-zoo", model));
      const graph = runPasses(readZooGraph(readZooGolden(folder), needShared(context, "data")));
      expect(graph.nodes.filter((node) => node.op === "transpose")).toHaveLength(transposes);
      for (const via of ["js", "wasm"] as const) {
        const { outputs, largest } = run(context, model, via);
        expect(outputs / Math.max(1, largest), via).toBeLessThanOrEqual(QUANTIZED_ONNX_DIFFERENCE[model] ?? ONNX_DIFFERENCE);
      }
    });
  }
});

describe("zoo: quantized models agree with another engine", () => {
  for (const [model, { outputs, taps, rounded = { outputs: 0, taps: 0 } }] of Object.entries(QUANTIZED_MODELS)) {
    test(`${model} within ${outputs} steps, ${taps} before its last function`, (context) => {
      const result = run(context, model, "wasm");
      expect(result.outputs, "outputs").toBeLessThanOrEqual(outputs);
      expect(result.taps, "taps").toBeLessThanOrEqual(taps);
    });

    test(`${model} within ${rounded.outputs} and ${rounded.taps} steps where sums are rounded once`, (context) => {
      const result = run(context, model, "one rounding");
      expect(result.outputs, "outputs").toBeLessThanOrEqual(rounded.outputs);
      expect(result.taps, "taps").toBeLessThanOrEqual(rounded.taps);
    });
  }
});

describe("zoo: a model that looks for places", () => {
  test(`${POSE} agrees to the bit where sums are rounded once`, (context) => {
    expect(run(context, POSE, "one rounding").outputs).toBe(0);
  });

  test(`${POSE} gives places in the picture`, (context) => {
    expect(run(context, POSE, "wasm").outputs).toBeLessThan(0.5);
  });
});

describe("zoo: every model file", () => {
  test("with stored results is in one of the lists", (context) => {
    const stored = readdirSync(needShared(context, "golden-zoo"), { withFileTypes: true }).filter((entry) => entry.isDirectory());
    const models = stored.map((entry) => entry.name);
    expect(models.sort()).toEqual([...FLOAT_MODELS, ...Object.keys(ONNX_MODELS), ...Object.keys(QUANTIZED_MODELS), POSE, REFUSED_MODEL].sort());
  });

  test("is read, or refused by the name of an operator that Kinglet lacks", (context) => {
    const refused = new Set<string>();
    for (const [path, bytes] of zippedFiles(needShared(context, join("data", "models")), ".tflite")) {
      const file = path.slice(path.lastIndexOf("/") + 1);
      const operator = REFUSED_FILES[file];
      if (operator === undefined) expect(() => readModel(bytes, file), file).not.toThrow();
      else refused.add(file);
      if (operator !== undefined) expectRefusal(() => readModel(bytes, file), operator);
    }
    expect([...refused].sort()).toEqual(Object.keys(REFUSED_FILES).sort());
  });
});

function expectRefusal(read: () => unknown, operator: string): void {
  try {
    read();
  } catch (error) {
    expect(error).toBeInstanceOf(KingletError);
    expect(error).toMatchObject({ code: "unsupported" });
    expect((error as KingletError).message).toContain(operator);
    return;
  }
  expect.fail(`a model with ${operator} was not refused`);
}
