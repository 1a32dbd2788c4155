import { describe, expect, it } from "vitest";
import { bytesOf, fromBytes } from "../base/index.ts";
import { coreById } from "../boards/index.ts";
import { coreTools, needTools } from "../boards/tool-gate.ts";
import { execute, type Sample, type Via } from "../driver/index.ts";
import { type Graph, joinGraphs, type Value } from "../graph/index.ts";
import { dsCnn } from "../zoo/index.ts";
import { mfcc } from "./mel.ts";
import { addNode } from "./node.ts";
import { featureGraph } from "./signal-testing.ts";

const SAMPLE_RATE = 16000;

/** A second of int16 audio → 49 frames of 10 coefficients, in the element type of the network's input. */
function features(input: Value): Graph {
  return featureGraph("int16", [1, SAMPLE_RATE], (b, x) => {
    const bank = { bands: 40, sampleRate: SAMPLE_RATE, lowHz: 20, highHz: 4000 };
    const found = mfcc(b, x, { ...bank, frameLength: 480, frameStep: 320, coefficients: 10 });
    const image = addNode(b, "reshape", [found], { shape: [1, 49, 10, 1] });
    if (input.dtype === "float32") return image;
    const quantized = b.value("quantized", { ...input, shape: [1, 49, 10, 1] });
    b.node("quantize", [image], [quantized], { dtype: input.dtype });
    return quantized;
  });
}

/** A chirp of half the range, and a sine that swells: the audio of a test. */
const AUDIO: readonly Sample[] = [(n: number): number => 16000 * Math.sin((n * n) / 40000), (n: number): number => n * Math.sin(n / 7)].map(
  (signal) => [bytesOf(Int16Array.from({ length: SAMPLE_RATE }, (_, n) => signal(n)))],
);

function keywordSpotter(precision: "int8" | "float32"): Graph {
  const network = dsCnn({ precision });
  return joinGraphs("keywords", features(network.inputs[0]!), network);
}

describe("features and a keyword spotter in one graph", () => {
  it("have the shapes of MLPerf Tiny's", () => {
    const graph = keywordSpotter("int8");
    expect(graph.inputs.map(({ dtype, shape }) => [dtype, shape])).toEqual([["int16", [1, 16000]]]);
    expect(graph.outputs[0]!.shape).toEqual([1, 12]);
  });

  it.each(["js", "wasm", "wasm-scalar"] as const)("on %s equal the plain loops", async (via) => {
    await expectEqual(keywordSpotter("int8"), via);
  });

  it("in C on this computer equal the plain loops", async (context) => {
    needTools(context, "cc");
    await expectEqual(keywordSpotter("int8"), "c");
  });

  it("as firmware for the Cortex-M4 equal the plain loops", { timeout: 60_000 }, async (context) => {
    needTools(context, ...coreTools(coreById("cortex-m4")));
    await expectEqual(keywordSpotter("int8"), "cortex-m4");
  });

  it("that is no fit is refused", () => {
    expect(() => joinGraphs("x", features(dsCnn({ precision: "float32" }).inputs[0]!), dsCnn({ precision: "int8" }))).toThrow("float32[1,49,10,1]");
  });
});

async function expectEqual(graph: Graph, via: Via): Promise<void> {
  const [got, plain] = [await execute(graph, via, AUDIO), await execute(graph, "plain", AUDIO)];
  got.outputs.forEach((outputs, s) => {
    const [a, b] = [outputs[0]!, plain.outputs[s]![0]!].map((bytes) => [...(fromBytes("int8", bytes) as Int8Array)]);
    expect(a, `sample ${s}`).toEqual(b);
  });
  expect(plain.outputs[0]).not.toEqual(plain.outputs[1]);
}
