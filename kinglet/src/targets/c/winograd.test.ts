import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { bytesOf, Xorshift32 } from "../../base/index.ts";
import { type Graph, GraphBuilder, type ValueType } from "../../graph/index.ts";
import { createJsRunner, separatePlacement } from "../js/index.ts";
import { lower } from "../lower.ts";
import type { Schedules } from "../../ops/index.ts";
import { FAST_DSP_SCHEDULES, FAST_MANY_REGISTER_SCHEDULES, FAST_SCALAR_SCHEDULES } from "./schedules.ts";
import { OUTPUT_SCALE, transformFilter } from "./winograd-transform.ts";

interface Layer {
  readonly batches: number;
  readonly height: number;
  readonly width: number;
  readonly inC: number;
  readonly outC: number;
  readonly zeroPoint: number;
  readonly scale: number;
  readonly activation: "none" | "relu";
  /** Stored inputs and weights: all random, or all at one end of their range. */
  readonly extremes: boolean;
  readonly seed: number;
}

const LAYERS: fc.Arbitrary<Layer> = fc.record({
  batches: fc.integer({ min: 1, max: 2 }),
  height: fc.constantFrom(2, 4, 6),
  width: fc.constantFrom(8, 16),
  inC: fc.constantFrom(8, 16, 24, 40),
  outC: fc.constantFrom(2, 4, 6),
  zeroPoint: fc.integer({ min: -128, max: 127 }),
  scale: fc.constantFrom(0.02, 0.1, 0.9, 5),
  activation: fc.constantFrom("none" as const, "relu" as const),
  extremes: fc.boolean(),
  seed: fc.integer({ min: 1, max: 2 ** 31 - 1 }),
});

function layerOf(l: Layer): { graph: Graph; input: Int8Array } {
  const random = new Xorshift32(l.seed);
  const bytes = (n: number): Int8Array =>
    Int8Array.from({ length: n }, () => (l.extremes ? (random.int(0, 1) === 0 ? -128 : 127) : random.int(-128, 127)));
  const tensor = (shape: number[], scale: number, zeroPoint: number): ValueType => ({
    dtype: "int8",
    shape,
    quantization: { scales: [scale], zeroPoints: [zeroPoint], axis: 0 },
  });
  const b = new GraphBuilder("layer");
  const x = b.input("x", tensor([l.batches, l.height, l.width, l.inC], 0.05, l.zeroPoint));
  const w = b.constant("w", tensor([l.outC, 3, 3, l.inC], 0.02, 0), bytes(9 * l.inC * l.outC));
  const bias = b.constant(
    "bias",
    { dtype: "int32", shape: [l.outC] },
    Int32Array.from({ length: l.outC }, () => random.int(-30000, 30000)),
  );
  const y = b.value("y", tensor([l.batches, l.height, l.width, l.outC], l.scale, l.activation === "relu" ? -128 : 7));
  const window = { strideH: 1, strideW: 1, dilationH: 1, dilationW: 1, padTop: 1, padBottom: 1, padLeft: 1, padRight: 1 };
  b.node("conv2d", [x, w, bias], [y], { ...window, activation: l.activation });
  b.output(y);
  return { graph: b.build(), input: bytes(l.batches * l.height * l.width * l.inC) };
}

function run(graph: Graph, input: Int8Array, schedules: Schedules): { result: string; kernel: string } {
  const program = lower(graph, { schedules, room: Infinity });
  const runner = createJsRunner(program, separatePlacement(program));
  runner.setInput(0, bytesOf(input));
  runner.run();
  return { result: Buffer.from(runner.output(0)).toString("hex"), kernel: program.steps[0]!.func };
}

describe("Winograd's convolution", () => {
  test("gives the bytes of the plain loops", () => {
    const kernels = new Map<string, number>();
    fc.assert(
      fc.property(LAYERS, (layer) => {
        const { graph, input } = layerOf(layer);
        const fast = run(graph, input, FAST_DSP_SCHEDULES);
        kernels.set(fast.kernel, (kernels.get(fast.kernel) ?? 0) + 1);
        expect(fast.result).toBe(run(graph, input, {}).result);
      }),
      { numRuns: 60, seed: 11 },
    );
    // Some layers have no proof of their requantization; most have.
    expect(kernels.get("conv2d_winograd_s8")).toBeGreaterThan(40);
  });

  test.each([
    ["few", FAST_SCALAR_SCHEDULES],
    ["many", FAST_MANY_REGISTER_SCHEDULES],
  ])("gives them in products of words with %s registers, and cuts any even map", (_registers, schedules) => {
    const kernels = new Map<string, number>();
    const widths = fc.constantFrom(2, 4, 6, 8, 12);
    const cut = fc.tuple(LAYERS, widths, fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 6 }));
    fc.assert(
      fc.property(cut, ([layer, width, inC, outC]) => {
        const { graph, input } = layerOf({ ...layer, width, inC, outC });
        const fast = run(graph, input, schedules);
        kernels.set(fast.kernel, (kernels.get(fast.kernel) ?? 0) + 1);
        expect(fast.result).toBe(run(graph, input, {}).result);
      }),
      { numRuns: 80, seed: 13 },
    );
    expect(kernels.get("conv2d_winograd_words_s8")).toBeGreaterThan(50);
  });

  test("is not taken where the working memory has no room, nor for maps that do not divide into its patches", () => {
    const layer: Layer = { batches: 1, height: 4, width: 8, inC: 8, outC: 4, zeroPoint: 0, scale: 0.1, activation: "relu", extremes: false, seed: 3 };
    const kernel = (l: Layer, room: number): string => lower(layerOf(l).graph, { schedules: FAST_DSP_SCHEDULES, room }).steps[0]!.func;
    expect(kernel(layer, 4000)).toBe("conv2d_winograd_s8");
    expect(kernel(layer, 400)).not.toBe("conv2d_winograd_s8");
    for (const other of [{ height: 5 }, { width: 12 }, { inC: 4 }, { outC: 3 }])
      expect(kernel({ ...layer, ...other }, Infinity)).not.toBe("conv2d_winograd_s8");
  });

  test("turns a filter into whole numbers: its sum over a constant patch is scaled exactly", () => {
    // A patch of ones transforms to a single 4 at position (1, 1); all four outputs are then that product.
    const filter = [3, -128, 127, 5, 0, -7, 11, 2, -1];
    const transformed = transformFilter(filter);
    expect(transformed.every(Number.isInteger)).toBe(true);
    expect(4 * transformed[5]!).toBe(OUTPUT_SCALE * filter.reduce((sum, w) => sum + w, 0));
    expect(Math.max(...transformFilter(Array.from({ length: 9 }, () => -128)).map(Math.abs))).toBe(9 * 128);
  });
});
