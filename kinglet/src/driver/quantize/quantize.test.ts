import { readFileSync } from "node:fs";
import { join } from "node:path";
import { unzipSync } from "fflate";
import { describe, expect, test, type TestContext } from "vitest";
import { bytesOf, Xorshift32 } from "../../base/index.ts";
import { coreById } from "../../boards/index.ts";
import { coreTools, needTools } from "../../boards/tool-gate.ts";
import { readModel } from "../../formats/index.ts";
import { needShared } from "../../formats/test-files.ts";
import { clipped, imbalanced } from "../../passes/quantize/test-networks.ts";
import { prepareForQuantization, type QuantizedModel, quantizeDynamic } from "../../passes/index.ts";
import { execute, type Via } from "../execute.ts";
import type { Sample } from "../tensors.ts";
import { seededSample } from "../samples.ts";
import { diagnose, layerReports, quantizeNetwork } from "./diagnose.ts";
import { outputQuality } from "./noise.ts";
import { asModel, cifar, correct, goldenModel, hum } from "./quantize-testing.ts";
import { sampleFor } from "./values.ts";

function noise(elements: number, count: number, seed = 3): Sample[] {
  const random = new Xorshift32(seed);
  return Array.from({ length: count }, () => [bytesOf(Float32Array.from({ length: elements }, () => random.float()))]);
}

const hex = (outputs: readonly (readonly Uint8Array[])[]): string =>
  outputs
    .flat()
    .map((bytes) => Buffer.from(bytes).toString("hex"))
    .join();

/** Integer outputs are the same bits on every back end. */
async function expectEqualEverywhere(context: TestContext, model: QuantizedModel, samples: readonly Sample[], vias: readonly Via[]): Promise<void> {
  const stored = samples.map((sample) => sampleFor(model.graph, model.source, sample));
  const plain = await execute(model.graph, "plain", stored);
  for (const via of vias) {
    if (via === "c") needTools(context, "cc");
    if (via === "cortex-m4") needTools(context, ...coreTools(coreById("cortex-m4")));
    const run = await execute(model.graph, via, stored);
    expect(run.warnings).toBe("");
    expect(hex(run.outputs), via).toBe(hex(plain.outputs));
  }
}

const VIAS: readonly Via[] = ["js", "wasm", "c", "cortex-m4"];

describe("a network with one channel scaled by 1000", () => {
  const graph = imbalanced(1000);
  const samples = noise(144, 32);
  const snr = (options: Parameters<typeof quantizeNetwork>[2]): number =>
    outputQuality(graph, quantizeNetwork(graph, samples, options), samples).snrDb;

  test("is ruined by one scale for each layer's weights", () => {
    expect(snr({ perAxis: false })).toBeLessThan(6);
  });

  test("is saved by equalisation, with the same single scales", () => {
    expect(snr({ perAxis: false, remedies: ["equalize"] })).toBeGreaterThan(25);
  });

  test("is saved by a scale for each channel where the activations themselves stay in bounds", () => {
    const bounded = clipped(1000);
    const of = (perAxis: boolean): number => outputQuality(bounded, quantizeNetwork(bounded, samples, { perAxis }), samples).snrDb;
    expect(of(false)).toBeLessThan(8);
    expect(of(true)).toBeGreaterThan(25);
  });

  test("is explained: remedies in order of cost, and what each brought", () => {
    const found = diagnose(graph, samples);
    expect(found.remedies.map(({ remedy }) => remedy).slice(0, 2)).toEqual(["per-axis", "equalize"]);
    expect(found.remedies.find(({ remedy }) => remedy === "equalize")).toMatchObject({ kept: true, detail: "2 pairs of layers" });
    expect(found.worst!.channelSnrDb).toHaveLength(graph.nodes[found.worst!.index]!.outputs[0]!.shape[3]!);
    const kept = found.remedies.filter((each) => each.kept).reduce((sum, { gainDb }) => sum + gainDb, found.start.snrDb);
    expect(found.final.snrDb).toBeCloseTo(kept, 6);
    expect(found.final.snrDb).toBeGreaterThan(30);
    expect(outputQuality(graph, found.model, samples).snrDb).toBe(found.final.snrDb);
  });
});

describe("remedies on a seeded network", () => {
  const graph = imbalanced(1);
  const samples = noise(144, 24);
  const snr = (options: Parameters<typeof quantizeNetwork>[2]): number =>
    outputQuality(graph, quantizeNetwork(graph, samples, options), samples).snrDb;

  test("adaptive rounding gains with 4 bits", () => {
    expect(snr({ bits: 4, remedies: ["adaround"] })).toBeGreaterThan(snr({ bits: 4 }) + 1);
  });

  test("bias correction takes the mean error off", () => {
    expect(snr({ bits: 4, remedies: ["correct-bias"] })).toBeGreaterThan(snr({ bits: 4 }));
  });

  test("what lies before a named layer stays in floating point", () => {
    const model = quantizeNetwork(graph, samples, { floatUntil: graph.nodes[1]!.name });
    expect(model.layers.map(({ domain }) => domain)).toEqual(["int8", "int8"]);
    expect(model.kept.map(({ source }) => source.name)).toEqual([graph.nodes[0]!.name]);
    expect(() => quantizeNetwork(graph, samples, { floatUntil: "nowhere" })).toThrow(/no layer "nowhere"/);
  });

  test("16 bits for one layer and its readers run everywhere", async (context) => {
    const model = quantizeNetwork(graph, samples, { io: "int8", int16Layers: [graph.nodes[1]!.name] });
    expect(model.layers.map(({ domain }) => domain)).toEqual(["int8", "int16", "int16"]);
    await expectEqualEverywhere(context, model, samples.slice(0, 3), VIAS);
  });

  test("16x8 and 4-bit weights run everywhere", async (context) => {
    await expectEqualEverywhere(context, quantizeNetwork(graph, samples, { io: "int16", activations: "int16" }), samples.slice(0, 3), VIAS);
    await expectEqualEverywhere(context, quantizeNetwork(graph, samples, { io: "int8", bits: 4 }), samples.slice(0, 3), VIAS);
  });

  test("every layer is measured in the network and by itself", () => {
    const found = diagnose(graph, samples);
    for (const layer of found.layers) expect(layer.ownSnrDb).toBeGreaterThanOrEqual(layer.snrDb - 3);
    expect(layerReports(found.model, samples).map(({ name }) => name)).toEqual(graph.nodes.map(({ name }) => name));
  });

  test("no samples, NaN in a sample and samples of another size are refused", () => {
    expect(() => quantizeNetwork(graph, [])).toThrow(/no calibration sample/);
    expect(() => quantizeNetwork(graph, [[bytesOf(new Float32Array(144).fill(Number.NaN))]])).toThrow(/becomes NaN/);
    expect(() => quantizeNetwork(graph, [[new Uint8Array(5)]])).toThrow(/needs 576 bytes, not 5/);
  });
});

describe("public networks", () => {
  test("ResNet-8 keeps its accuracy on CIFAR-10 and runs everywhere alike", async (context) => {
    const source = goldenModel(context, "mlperf_pretrainedResnet");
    const calibration = cifar(context, "train", 100).map(({ sample }) => sample);
    const pictures = cifar(context, "test", 150);
    const float = correct(source, source, pictures);
    expect(float).toBe(137);
    const model = quantizeNetwork(source, calibration, { io: "int8" });
    expect(correct(model.graph, source, pictures)).toBeGreaterThanOrEqual(float - 1);
    const published = outputQuality(
      source,
      asModel(source, goldenModel(context, "resnet8")),
      pictures.map(({ sample }) => sample),
    );
    const ours = outputQuality(
      source,
      model,
      pictures.map(({ sample }) => sample),
    );
    expect(ours.snrDb).toBeGreaterThan(published.snrDb);
    expect(ours.agreement).toBeGreaterThanOrEqual(0.97);
    await expectEqualEverywhere(context, model, [pictures[0]!.sample, pictures[1]!.sample], VIAS);
  });

  test("ResNet-8 with 4-bit weights is repaired by rounding and bias correction", { timeout: 300_000 }, (context) => {
    const source = goldenModel(context, "mlperf_pretrainedResnet");
    const calibration = cifar(context, "train", 40).map(({ sample }) => sample);
    const pictures = cifar(context, "test", 150);
    const nearest = quantizeNetwork(source, calibration, { bits: 4 });
    const repaired = quantizeNetwork(source, calibration, { bits: 4, remedies: ["correct-bias", "adaround"] });
    expect(correct(nearest.graph, source, pictures)).toBeLessThan(110);
    expect(correct(repaired.graph, source, pictures)).toBeGreaterThan(122);
  });

  test("visual wake words follows its floating-point network more closely than the published int8 model", async (context) => {
    const source = goldenModel(context, "mlperf_vww_96_float");
    const calibration = cifar(context, "train", 40, 96, 1 / 255).map(({ sample }) => sample);
    const pictures = cifar(context, "test", 40, 96, 1 / 255).map(({ sample }) => sample);
    const model = quantizeNetwork(source, calibration, { io: "int8" });
    const [ours, published] = [
      outputQuality(source, model, pictures),
      outputQuality(source, asModel(source, goldenModel(context, "vww96")), pictures),
    ];
    expect(ours.snrDb).toBeGreaterThan(24);
    expect(ours.snrDb).toBeGreaterThan(published.snrDb);
    expect(ours.agreement).toBeGreaterThanOrEqual(0.97);
    await expectEqualEverywhere(context, model, pictures.slice(0, 1), VIAS);
  });

  test("the anomaly detector follows its floating-point network more closely than the published int8 model", async (context) => {
    const source = goldenModel(context, "mlperf_ad01_fp32");
    const [calibration, samples] = [1, 101].map((first) => Array.from({ length: 60 }, (_, i) => hum(first + i)));
    const model = quantizeNetwork(source, calibration!, { io: "int8" });
    const [ours, published] = [
      outputQuality(source, model, samples!),
      outputQuality(source, asModel(source, goldenModel(context, "ad01")), samples!),
    ];
    expect(ours.snrDb).toBeGreaterThan(30);
    expect(ours.snrDb).toBeGreaterThan(published.snrDb);
    await expectEqualEverywhere(context, model, samples!.slice(0, 2), VIAS);
  });

  test("the sine of the hello world example", async (context) => {
    const source = goldenModel(context, "hello_world_float");
    const samples = Array.from({ length: 64 }, (_, i): Sample => [bytesOf(Float32Array.of((i / 63) * 2 * Math.PI))]);
    const model = quantizeNetwork(source, samples, { io: "int8" });
    expect(outputQuality(source, model, samples).snrDb).toBeGreaterThan(25);
    await expectEqualEverywhere(context, model, samples.slice(0, 8), VIAS);
    // Weights alone: floats in and out, int8 weights, and no samples needed.
    const dynamic = quantizeDynamic(source);
    expect(outputQuality(source, asModel(source, dynamic), samples).snrDb).toBeGreaterThan(25);
  });

  // A small depthwise network, an unrolled LSTM, and a detector with paddings, resizes and weights that were of half precision.
  for (const name of ["tinymaix-mnist_dw_f.tflite", "dtln-model_1.tflite", "mediapipe-face_detection_short_range.tflite"]) {
    test(`${name} is integer from end to end`, async (context) => {
      const files = unzipSync(readFileSync(needShared(context, join("data", "models", "zoo.zip"))), { filter: (file) => file.name === name });
      const source = prepareForQuantization(readModel(files[name]!, name));
      const samples = [1, 2, 3].map((seed) => seededSample(source, seed));
      const model = quantizeNetwork(source, samples, { io: "int8" });
      expect(model.kept).toEqual([]);
      expect(outputQuality(source, model, samples).snrDb).toBeGreaterThan(15);
      await expectEqualEverywhere(context, model, samples.slice(0, 1), ["js", "wasm"]);
    });
  }
});
