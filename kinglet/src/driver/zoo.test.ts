import { readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test, type TestContext } from "vitest";
import { KingletError } from "../base/index.ts";
import { readModel } from "../formats/index.ts";
import { needShared, zippedFiles } from "../formats/test-files.ts";
import { runPasses } from "../passes/index.ts";
import { FLOAT_DIFFERENCE, FLOAT_MODELS, ONNX_MODELS, QUANTIZED_MODELS, QUANTIZED_ONNX_STEPS, REFUSED_FILES, ROUGH_MODELS } from "./zoo-models.ts";
import {
  type Measure,
  readZooGolden,
  readZooGraph,
  relativeDifference,
  runZooModel,
  stepsBeforeSoftmax,
  type ZooResult,
  type ZooVia,
} from "./zoo-testing.ts";

/** Its results are places where maps are largest, and maps of random pictures have no peak: one step moves a place anywhere. */
const POSE = "coral-movenet_single_pose_lightning_ptq";
const REFUSED_MODEL = "mediapipe-selfie_segmentation";

function run(context: TestContext, model: string, via: ZooVia, measure?: Measure): ZooResult {
  const folder = needShared(context, join("golden-zoo", model));
  return runZooModel(readZooGolden(folder), folder, needShared(context, "data"), via, measure);
}

describe("zoo: float models agree with another engine", () => {
  for (const model of FLOAT_MODELS) {
    test(model, (context) => {
      const { outputs, taps } = run(context, model, "wasm", relativeDifference);
      expect(Math.max(outputs, taps)).toBeLessThanOrEqual(ROUGH_MODELS[model] ?? FLOAT_DIFFERENCE);
    });
  }
});

describe("zoo: ONNX models agree with another engine, and run channels last", () => {
  for (const [model, transposes] of Object.entries(ONNX_MODELS)) {
    test(`${model}, ${transposes} transposes left`, (context) => {
      const folder = needShared(context, join("golden-zoo", model));
      const graph = readZooGraph(readZooGolden(folder), needShared(context, "data"));
      expect(runPasses(graph).nodes.filter((node) => node.op === "transpose")).toHaveLength(transposes);
      const steps = QUANTIZED_ONNX_STEPS[model];
      const measure = steps === undefined ? relativeDifference : stepsBeforeSoftmax(graph);
      for (const via of ["js", "wasm"] as const) {
        const { outputs } = run(context, model, via, measure);
        if (steps !== undefined) expect(outputs, "whole steps").toBeCloseTo(Math.round(outputs), 3);
        expect(outputs, via).toBeLessThanOrEqual(steps === undefined ? (ROUGH_MODELS[model] ?? FLOAT_DIFFERENCE) : steps + 1e-3);
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

  test("of ONNX is in the list, but for one that the other engine does not read", (context) => {
    const files = [...zippedFiles(needShared(context, join("data", "models")), ".onnx")].map(([path, bytes]): [string, Uint8Array] => [
      path.slice(path.lastIndexOf("/") + 1).replace(/\.onnx$/, ""),
      bytes,
    ]);
    const [alone, ...more] = files.filter(([name]) => !(`${name}-onnx` in ONNX_MODELS));
    expect(more).toEqual([]);
    expect(alone![0]).toBe("qonnx-TFC_2W2A");
    expect(runPasses(readModel(alone![1], alone![0])).nodes.length).toBeGreaterThan(0);
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
