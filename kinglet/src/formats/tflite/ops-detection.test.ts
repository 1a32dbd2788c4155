import { describe, expect, it } from "vitest";
import { bytesOf } from "../../base/index.ts";
import { writeFlexNumbers } from "./flexbuffers.ts";
import { readTflite } from "./read.ts";
import { int32Bytes, testModel, type TestTensor } from "./test-model.ts";
import { writeTflite } from "./write.ts";

const real = (value: number): TestTensor => ({ type: "float32", shape: [], data: bytesOf(Float32Array.of(value)) });
const floats = (...shape: number[]): TestTensor => ({ type: "float32", shape });

/** Five of nine boxes, with a threshold of scores and a sigma. */
function suppression(op: "NON_MAX_SUPPRESSION_V4" | "NON_MAX_SUPPRESSION_V5", score: number, sigma = 0): Uint8Array {
  const most: TestTensor = { type: "int32", shape: [], data: int32Bytes(5) };
  const indices: TestTensor = { type: "int32", shape: [5] };
  const count: TestTensor = { type: "int32", shape: [] };
  const tensors = [floats(9, 4), floats(9), most, real(0.5), real(score), real(sigma), indices, floats(5), count];
  const [inputs, outputs] = op.endsWith("4")
    ? [
        [0, 1, 2, 3, 4],
        [6, 8],
      ]
    : [
        [0, 1, 2, 3, 4, 5],
        [6, 7, 8],
      ];
  return testModel([{ tensors, inputs: [0, 1], outputs, operators: [{ op, inputs, outputs }] }]);
}

const OPTIONS = {
  max_detections: 4,
  max_classes_per_detection: 1,
  num_classes: 2,
  nms_score_threshold: 0.25,
  nms_iou_threshold: 0.5,
  y_scale: 10,
  x_scale: 10,
  h_scale: 5,
  w_scale: 5,
};

function detector(options: Readonly<Record<string, number>>): Uint8Array {
  const anchors = { ...floats(6, 4), data: bytesOf(new Float32Array(24)) };
  const tensors = [floats(1, 6, 4), floats(1, 6, 3), anchors, floats(1, 4, 4), floats(1, 4), floats(1, 4), floats(1)];
  const outputs = [3, 4, 5, 6];
  const operator = { op: "TFLite_Detection_PostProcess", inputs: [0, 1, 2], outputs, customOptions: writeFlexNumbers(options) };
  return testModel([{ tensors, inputs: [0, 1], outputs, operators: [operator] }]);
}

describe("what detectors end with", () => {
  it("reads and writes non-maximum suppression, with scores and without", () => {
    for (const op of ["NON_MAX_SUPPRESSION_V4", "NON_MAX_SUPPRESSION_V5"] as const) {
      const graph = readTflite(suppression(op, 0.25), "boxes");
      const attributes = { most: 5, iouThreshold: 0.5, inclusive: true, scoreThreshold: 0.25, centered: false, scores: op.endsWith("5") };
      for (const { nodes } of [graph, readTflite(writeTflite(graph), "boxes")])
        expect(nodes[0]).toMatchObject({ op: "nonMaxSuppression", attributes });
    }
  });

  it("takes an infinite threshold for none, there and back", () => {
    const graph = readTflite(suppression("NON_MAX_SUPPRESSION_V4", -Infinity), "boxes");
    expect(graph.nodes[0]!.attributes).not.toHaveProperty("scoreThreshold");
    expect(readTflite(writeTflite(graph), "boxes").nodes[0]!.attributes).toEqual(graph.nodes[0]!.attributes);
  });

  it("refuses scores that fall with the overlap", () => {
    expect(() => readTflite(suppression("NON_MAX_SUPPRESSION_V5", 0.25, 0.5), "boxes")).toThrow(/soft_nms_sigma/);
  });

  it("reads the options of detection post-processing, and its defaults", () => {
    const [node] = readTflite(detector(OPTIONS), "ssd").nodes;
    const attributes = { classes: 2, most: 4, byClass: false, mostPerClass: 100, scoreThreshold: 0.25, iouThreshold: 0.5, scales: [10, 10, 5, 5] };
    expect(node!.attributes).toEqual(attributes);
    const regular = readTflite(detector({ ...OPTIONS, use_regular_nms: 1, max_classes_per_detection: 3, detections_per_class: 7 }), "ssd");
    expect(regular.nodes[0]!.attributes).toEqual({ ...attributes, byClass: true, mostPerClass: 7 });
    expect(() => readTflite(detector({ ...OPTIONS, max_classes_per_detection: 3 }), "ssd")).toThrow(/several classes/);
    const { y_scale: _, ...incomplete } = OPTIONS;
    expect(() => readTflite(detector(incomplete), "ssd")).toThrow(/lack "y_scale"/);
  });
});
