import type { TypedArray } from "../../base/index.ts";
import type { Graph } from "../../graph/index.ts";
import { evaluate } from "../../targets/js/index.ts";
import { readOnnx } from "./read.ts";
import { type TestAttribute, type TestModel, testOnnx } from "./test-model.ts";

/** For tests: what a network of one operator of ai.onnx.ml gives. */
export interface Ran {
  readonly graph: Graph;
  readonly outputs: readonly (readonly number[])[];
}

const FLOAT = 1;

export function runModel(model: TestModel, data: TypedArray, rows: number): Ran {
  const graph = readOnnx(testOnnx(model), "classical", { shapeOf: () => [rows, data.length / rows] });
  return { graph, outputs: evaluate(graph, [data]).map((output) => Array.from(output as ArrayLike<number | bigint>, Number)) };
}

export function classicalModel(
  op: string,
  outputs: readonly string[],
  attributes: Readonly<Record<string, TestAttribute>>,
  features: number,
): TestModel {
  return {
    classical: 3,
    inputs: [{ name: "x", type: FLOAT, dims: ["N", features] }],
    outputs,
    nodes: [{ op, domain: "ai.onnx.ml", inputs: ["x"], outputs, attributes }],
  };
}

/** Runs one operator on rows of floats; classifiers have two outputs. */
export function runClassical(op: string, attributes: Readonly<Record<string, TestAttribute>>, rows: readonly (readonly number[])[]): Ran {
  const outputs = op.endsWith("Classifier") ? ["label", "scores"] : ["y"];
  return runModel(classicalModel(op, outputs, attributes, rows[0]!.length), Float32Array.from(rows.flat()), rows.length);
}
