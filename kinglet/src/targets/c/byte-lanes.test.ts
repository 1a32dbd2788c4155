import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { bytesOf, Xorshift32 } from "../../base/index.ts";
import { type Graph, GraphBuilder, type ValueType } from "../../graph/index.ts";
import type { Schedules } from "../../ops/index.ts";
import { createJsRunner, separatePlacement } from "../js/index.ts";
import { lower } from "../lower.ts";
import { limitGroups, packByteLanes, packHalfLanes } from "./byte-lanes.ts";
import { FAST_MANY_REGISTER_SCHEDULES, FAST_SCALAR_SCHEDULES } from "./schedules.ts";

const WEIGHTS = fc.record({
  group: fc.constantFrom(4, 8, 16),
  rows: fc.array(fc.integer({ min: -128, max: 127 }), { minLength: 96, maxLength: 96 }),
});

describe("groups of weights", () => {
  test("are limited to sums of 16 bits, and nothing of them is lost", () => {
    fc.assert(
      fc.property(WEIGHTS, ({ group, rows }) => {
        const given = Int8Array.from(rows);
        const limited = limitGroups(given, 2, 48, group);
        const restored = Int32Array.from(limited.rows);
        limited.excess.forEach((list, c) => {
          for (const { tap, weight } of list) restored[c * 48 + tap]! += weight;
        });
        expect([...restored]).toEqual(rows);
        for (let i = 0; i < 96; i += group) {
          const weights = [...limited.rows.subarray(i, i + group)];
          const least = weights.reduce((sum, w) => sum + Math.min(-128 * w, 127 * w), 0);
          const most = weights.reduce((sum, w) => sum + Math.max(-128 * w, 127 * w), 0);
          expect(least).toBeGreaterThanOrEqual(-(2 ** 15));
          expect(most).toBeLessThan(2 ** 15);
        }
      }),
      { numRuns: 200, seed: 5 },
    );
  });

  test("lie four channels in a word, raised by 128", () => {
    const packed = packByteLanes(Int8Array.of(1, 2, 3, 4, 5, 6, 7, -128), 4, 2, 1);
    expect([...packed].map((word) => (word >>> 0).toString(16))).toEqual(["87858381", "868482"]);
  });
});

test("two channels in a word are their sum with the second 16 bits up", () => {
  expect([...packHalfLanes(Int8Array.of(1, -2, -3, 4), 2, 2, 1)]).toEqual([1 - 3 * 65536, -2 + 4 * 65536]);
});

interface Layer {
  readonly taps: number;
  readonly channels: number;
  /** Most weights lie within plus or minus this; a few may be anything. */
  readonly spread: number;
  readonly outliers: number;
  readonly zeroPoint: number;
  readonly scale: number;
  readonly extremes: boolean;
  readonly seed: number;
}

const LAYERS: fc.Arbitrary<Layer> = fc.record({
  taps: fc.constantFrom(4, 8, 12, 16, 24, 48, 80),
  channels: fc.constantFrom(4, 8, 12, 16),
  spread: fc.constantFrom(0, 5, 15, 31, 62),
  outliers: fc.integer({ min: 0, max: 6 }),
  zeroPoint: fc.integer({ min: -128, max: 127 }),
  scale: fc.constantFrom(0.02, 0.1, 0.9, 400),
  extremes: fc.boolean(),
  seed: fc.integer({ min: 1, max: 2 ** 31 - 1 }),
});

function layerOf(l: Layer): { graph: Graph; input: Int8Array } {
  const random = new Xorshift32(l.seed);
  const end = (size: number): number => (random.int(0, 1) === 0 ? -size : size);
  const weights = Int8Array.from({ length: l.taps * l.channels }, () => (l.extremes ? end(l.spread) : random.int(-l.spread, l.spread)));
  for (let i = 0; i < l.outliers; i++) weights[random.int(0, weights.length - 1)] = random.int(0, 1) === 0 ? -128 : 127;
  const tensor = (shape: number[], scale: number, zeroPoint: number): ValueType => ({
    dtype: "int8",
    shape,
    quantization: { scales: [scale], zeroPoints: [zeroPoint], axis: 0 },
  });
  const b = new GraphBuilder("layer");
  const x = b.input("x", tensor([1, l.taps], 0.05, l.zeroPoint));
  const w = b.constant("w", tensor([l.channels, l.taps], 0.02, 0), weights);
  const bias = b.constant(
    "bias",
    { dtype: "int32", shape: [l.channels] },
    Int32Array.from({ length: l.channels }, () => random.int(-9000, 9000)),
  );
  const y = b.value("y", tensor([1, l.channels], l.scale, 7));
  b.node("fullyConnected", [x, w, bias], [y], { activation: "none", keepDims: false });
  b.output(y);
  return { graph: b.build(), input: Int8Array.from({ length: l.taps }, () => (l.extremes ? (end(1) < 0 ? -128 : 127) : random.int(-128, 127))) };
}

function run(graph: Graph, input: Int8Array, schedules: Schedules): { result: string; kernel: string } {
  const program = lower(graph, { schedules, room: Infinity });
  const runner = createJsRunner(program, separatePlacement(program));
  runner.setInput(0, bytesOf(input));
  runner.run();
  return { result: Buffer.from(runner.output(0)).toString("hex"), kernel: program.steps[0]!.func };
}

describe.each([
  ["few", FAST_SCALAR_SCHEDULES],
  ["many", FAST_MANY_REGISTER_SCHEDULES],
])("a vector times rows in byte lanes with %s registers", (_registers, schedules) => {
  test("gives the bytes of the plain loops", () => {
    let lanes = 0;
    fc.assert(
      fc.property(LAYERS, (layer) => {
        const { graph, input } = layerOf(layer);
        const fast = run(graph, input, schedules);
        if (fast.kernel === "dense_lanes_s8") lanes++;
        expect(fast.result).toBe(run(graph, input, {}).result);
      }),
      { numRuns: 250, seed: 17 },
    );
    expect(lanes).toBeGreaterThan(120);
  });
});
