import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { bytesOf, Xorshift32 } from "../../base/index.ts";
import { type Graph, GraphBuilder, type ValueType } from "../../graph/index.ts";
import { call, requantizeCases } from "./testing.ts";
import { createJsRunner, separatePlacement } from "../js/index.ts";
import { lower } from "../lower.ts";
import type { Schedules } from "../../ops/index.ts";
import { analyseChannel } from "./channels.ts";
import { smallIsProved } from "./layer.ts";
import { packLanes } from "./lanes.ts";
import {
  balancedDspSchedules,
  balancedHeliumSchedules,
  FAST_DSP_SCHEDULES,
  FAST_HELIUM_SCHEDULES,
  FAST_MANY_REGISTER_SCHEDULES,
  FAST_SCALAR_SCHEDULES,
  MANY_REGISTER_SCHEDULES,
  SCALAR_SCHEDULES,
  SMALL_DSP_SCHEDULES,
  SMALL_SCALAR_SCHEDULES,
} from "./schedules.ts";

interface Shape {
  readonly op: "conv2d" | "depthwiseConv2d" | "fullyConnected";
  readonly h: number;
  readonly w: number;
  readonly c: number;
  readonly oc: number;
  readonly fh: number;
  readonly fw: number;
  readonly stride: number;
  readonly pad: number;
  readonly zeroPoint: number;
  readonly scale: number;
  readonly seed: number;
}

const SHAPES: fc.Arbitrary<Shape> = fc
  .record({
    op: fc.constantFrom("conv2d" as const, "depthwiseConv2d" as const, "fullyConnected" as const),
    h: fc.integer({ min: 1, max: 7 }),
    w: fc.integer({ min: 1, max: 7 }),
    c: fc.integer({ min: 1, max: 20 }),
    oc: fc.integer({ min: 1, max: 9 }),
    fh: fc.integer({ min: 1, max: 4 }),
    fw: fc.integer({ min: 1, max: 4 }),
    stride: fc.integer({ min: 1, max: 3 }),
    pad: fc.integer({ min: 0, max: 2 }),
    zeroPoint: fc.integer({ min: -128, max: 127 }),
    scale: fc.constantFrom(1e-4, 0.02, 0.3, 3, 400),
    seed: fc.integer({ min: 1, max: 2 ** 31 - 1 }),
  })
  .filter((s) => s.op === "fullyConnected" || (s.h + 2 * s.pad >= s.fh && s.w + 2 * s.pad >= s.fw));

/** Convolutions that fill words and blocks, as tiles want them, over few and odd numbers of pixels. */
const TILES: fc.Arbitrary<Shape> = fc
  .record({
    h: fc.integer({ min: 1, max: 5 }),
    w: fc.integer({ min: 1, max: 9 }),
    words: fc.constantFrom(1, 2, 3, 4, 18, 20, 24),
    pairs: fc.integer({ min: 1, max: 4 }),
    filter: fc.constantFrom(1, 1, 3),
    stride: fc.integer({ min: 1, max: 2 }),
    zeroPoint: fc.integer({ min: -128, max: 127 }),
    scale: fc.constantFrom(0.02, 0.3, 3),
    seed: fc.integer({ min: 1, max: 2 ** 31 - 1 }),
  })
  .map(({ words, pairs, filter, stride, ...rest }) => {
    const window = { fh: filter, fw: filter, stride: filter === 1 ? 1 : stride, pad: filter === 1 ? 0 : 1 };
    return { ...rest, ...window, op: "conv2d", c: 4 * words, oc: 2 * pairs };
  });

function layerOf(s: Shape): { graph: Graph; input: Int8Array } {
  const random = new Xorshift32(s.seed);
  const bytes = (n: number): Int8Array => Int8Array.from({ length: n }, () => random.int(-128, 127));
  const tensor = (shape: number[], scale: number, zeroPoint: number): ValueType => ({
    dtype: "int8",
    shape,
    quantization: { scales: [scale], zeroPoints: [zeroPoint], axis: 0 },
  });
  const b = new GraphBuilder("layer");
  const dense = s.op === "fullyConnected";
  const depthwise = s.op === "depthwiseConv2d";
  const channels = depthwise ? s.c : s.oc;
  const inShape = dense ? [s.h, s.c] : [1, s.h, s.w, s.c];
  const wShape = dense ? [s.oc, s.c] : depthwise ? [1, s.fh, s.fw, s.c] : [s.oc, s.fh, s.fw, s.c];
  const positions = (size: number, filter: number): number => Math.floor((size + 2 * s.pad - filter) / s.stride) + 1;
  const outShape = dense ? [s.h, s.oc] : [1, positions(s.h, s.fh), positions(s.w, s.fw), channels];
  const count = (shape: number[]): number => shape.reduce((p, d) => p * d, 1);
  const x = b.input("x", tensor(inShape, 0.05, s.zeroPoint));
  const w = b.constant("w", tensor(wShape, 0.02, 0), bytes(count(wShape)));
  const bias = b.constant(
    "bias",
    { dtype: "int32", shape: [channels] },
    Int32Array.from({ length: channels }, () => random.int(-30000, 30000)),
  );
  const y = b.value("y", tensor(outShape, s.scale, -s.zeroPoint - 1));
  const pads = { padTop: s.pad, padBottom: s.pad, padLeft: s.pad, padRight: s.pad };
  b.node(
    s.op,
    [x, w, bias],
    [y],
    dense
      ? { activation: "none", keepDims: false }
      : {
          strideH: s.stride,
          strideW: s.stride,
          dilationH: 1,
          dilationW: 1,
          ...pads,
          activation: s.seed % 2 === 0 ? "relu" : "none",
          depthMultiplier: 1,
        },
  );
  b.output(y);
  return { graph: b.build(), input: bytes(count(inShape)) };
}

function run(graph: Graph, input: Int8Array, schedules: Schedules, room = 0): string {
  const program = lower(graph, { schedules, room });
  const runner = createJsRunner(program, separatePlacement(program));
  runner.setInput(0, bytesOf(input));
  runner.run();
  return Buffer.from(runner.output(0)).toString("hex");
}

describe.each([
  ["scalar", () => SCALAR_SCHEDULES],
  ["DSP", balancedDspSchedules],
  ["fast DSP", () => FAST_DSP_SCHEDULES],
  ["fast scalar", () => FAST_SCALAR_SCHEDULES],
  ["many-register", () => MANY_REGISTER_SCHEDULES],
  ["fast many-register", () => FAST_MANY_REGISTER_SCHEDULES],
  ["Helium", balancedHeliumSchedules],
  ["fast Helium", () => FAST_HELIUM_SCHEDULES],
  ["small scalar", () => SMALL_SCALAR_SCHEDULES],
  ["small DSP", () => SMALL_DSP_SCHEDULES],
] as const)("the %s schedules", (_name, schedules) => {
  test("give the bytes of the plain loops for any layer", () => {
    fc.assert(
      fc.property(SHAPES, (shape) => {
        const { graph, input } = layerOf(shape);
        const [made, plain] = [schedules(graph), run(graph, input, {})];
        for (const room of [0, 300, Infinity]) expect(run(graph, input, made, room)).toBe(plain);
      }),
      { numRuns: 300, seed: 7 },
    );
  });
});

describe.each([
  ["DSP", balancedDspSchedules],
  ["fast DSP", () => FAST_DSP_SCHEDULES],
] as const)("tiles of the %s schedules", (_name, schedules) => {
  test("give the bytes of the plain loops", () => {
    fc.assert(
      fc.property(TILES, (shape) => {
        const { graph, input } = layerOf(shape);
        expect(run(graph, input, schedules(graph))).toBe(run(graph, input, {}));
      }),
      { numRuns: 120, seed: 11 },
    );
  });

  test("are what such layers have", () => {
    const kinds = fc.sample(TILES, { numRuns: 60, seed: 11 }).map((shape) => {
      const { graph } = layerOf(shape);
      return lower(graph, { schedules: schedules(graph) }).steps[0]!.func;
    });
    expect(new Set(kinds)).toEqual(new Set(["conv2d_tile_s8", "dense_pairs_s8", "pointwise_tile_s8", "rows_s8", "conv2d_patch_s8"]));
  });
});

describe("what is known of a channel", () => {
  const channel = { bias: 2 ** 30, weights: [1, -1, 2], low: -128, high: 127, resultLow: -128, resultHigh: 127 };

  test("a channel that cannot leave its bound is constant, and needs no large bias", () => {
    expect(analyseChannel({ ...channel, multiplier: { multiplier: 2 ** 30, shift: 0 } })).toEqual({
      bias: 4 * 127,
      multiplier: { multiplier: 2 ** 30, shift: -1 },
      bound: 508,
      least: 508,
      most: 508,
      constant: true,
    });
    expect(analyseChannel({ ...channel, bias: 3, multiplier: { multiplier: 2 ** 30, shift: -20 } })).toMatchObject({ bias: 0, constant: true });
  });

  test("a channel that can change keeps its numbers", () => {
    const multiplier = { multiplier: 2 ** 30, shift: -3 };
    expect(analyseChannel({ ...channel, bias: 3, multiplier })).toEqual({
      bias: 3,
      multiplier,
      bound: 3 + 4 * 128,
      least: 3 - 128 * 3 - 127,
      most: 3 + 127 * 3 + 128,
      constant: false,
    });
  });

  test("the constant stands for the same result in every form", () => {
    for (let result = -255; result <= 255; result++) {
      expect(call("small", 4 * result, 2 ** 30, 1)).toBe(result);
      expect(call("exact", 4 * result, 2 ** 30, -1)).toBe(result);
    }
  });
});

describe("weight pairs in one lane", () => {
  test("are refused where a lane would overflow", () => {
    expect(packLanes(Int8Array.of(-128, -1, 0, 0, 0, 0, 0, 0), 2, 4, 2)).toBeUndefined();
    expect(packLanes(Int8Array.of(-128, 1, 0, 0, 0, 0, 0, 0), 2, 4, 2)).toBeDefined();
  });

  test("hold 256u + v, channel beside channel", () => {
    const packed = packLanes(Int8Array.of(1, 2, 3, -4, 5, 6, 7, 8), 2, 4, 2)!;
    expect([...new Int16Array(packed.buffer)]).toEqual([258, 764, 1286, 1800]);
  });
});

describe("the short requantization", () => {
  test("equals the one of the specification wherever it is proved", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: -(2 ** 30) + 1, max: 2 ** 30 - 1 }),
        fc.integer({ min: 2 ** 30, max: 2 ** 31 - 1 }),
        fc.integer({ min: 1, max: 30 }),
        (x, multiplier, shift) => {
          expect(smallIsProved(Math.abs(x), [{ multiplier, shift: -shift }])).toBe(true);
          expect(call("small", x, multiplier, shift)).toBe(call("exact", x, multiplier, -shift));
        },
      ),
      { numRuns: 20_000, seed: 7, examples: requantizeCases },
    );
  });

  test("is refused for sums, multipliers and shifts outside its proof", () => {
    expect(smallIsProved(2 ** 30, [{ multiplier: 2 ** 30, shift: -1 }])).toBe(false);
    expect(smallIsProved(1, [{ multiplier: 2 ** 30, shift: 0 }])).toBe(false);
    expect(smallIsProved(1, [{ multiplier: 0, shift: -1 }])).toBe(false);
    expect(smallIsProved(1, [{ multiplier: 2 ** 30, shift: -31 }])).toBe(false);
  });
});
