import { describe, expect, it } from "vitest";
import { bytesOf } from "../base/index.ts";
import { compileGraph } from "../driver/index.ts";
import { createJsRunner } from "../targets/js/index.ts";
import { butterworth, filterTime } from "./filter.ts";
import { expectNear, featureGraph, noise, run } from "./signal-testing.ts";

/** |H| at a frequency. */
function gainAt(sections: readonly number[], hz: number, sampleRate: number): number {
  const w = (-2 * Math.PI * hz) / sampleRate;
  const size = (c0: number, c1: number, c2: number): number =>
    Math.hypot(c0 + c1 * Math.cos(w) + c2 * Math.cos(2 * w), c1 * Math.sin(w) + c2 * Math.sin(2 * w));
  let gain = 1;
  for (let i = 0; i < sections.length; i += 5) {
    const [b0, b1, b2, a1, a2] = sections.slice(i, i + 5) as [number, number, number, number, number];
    gain *= size(b0, b1, b2) / size(1, a1, a2);
  }
  return gain;
}

describe.each([1, 2, 3, 4, 5, 8])("a Butterworth filter of order %i", (order) => {
  it("has −3 dB at its cutoff, and the closed form's gain elsewhere", () => {
    const rate = 100;
    const warp = (hz: number): number => Math.tan((Math.PI * hz) / rate);
    for (const kind of ["lowpass", "highpass"] as const) {
      const sections = butterworth({ kind, order, cutoffHz: 12, sampleRate: rate });
      expect(20 * Math.log10(gainAt(sections, 12, rate))).toBeCloseTo(-3.0103, 4);
      for (const hz of [1, 5, 11, 13, 20, 40]) {
        const ratio = kind === "lowpass" ? warp(hz) / warp(12) : warp(12) / warp(hz);
        expect(gainAt(sections, hz, rate), `${kind} ${hz}`).toBeCloseTo(1 / Math.sqrt(1 + ratio ** (2 * order)), 9);
      }
    }
  });

  it("lets a sine at the cutoff through at 0.7071 of its height", () => {
    const sections = butterworth({ kind: "lowpass", order, cutoffHz: 10, sampleRate: 100 });
    const sine = Float32Array.from({ length: 1000 }, (_, n) => Math.sin((2 * Math.PI * 10 * n) / 100));
    const { data } = run([1, 1000, 1], sine, (b, v) => filterTime(b, v, sections));
    const settled = data.subarray(500);
    expect(Math.sqrt((2 * settled.reduce((sum, v) => sum + v * v, 0)) / settled.length)).toBeCloseTo(Math.SQRT1_2, 3);
  });
});

describe("the coefficients", () => {
  it("of order 2 at a quarter of the rate are the known ones", () => {
    const sections = butterworth({ kind: "lowpass", order: 2, cutoffHz: 25, sampleRate: 100 });
    expectNear(sections, [0.2928932188, 0.5857864376, 0.2928932188, 0, 0.1715728753], 1e-9);
  });

  it("of a filter that cannot be are refused", () => {
    const good = { kind: "lowpass", order: 2, cutoffHz: 10, sampleRate: 100 } as const;
    for (const bad of [{ order: 0 }, { order: 2.5 }, { cutoffHz: 50 }, { cutoffHz: 0 }]) expect(() => butterworth({ ...good, ...bad })).toThrow();
  });
});

it("a signal in pieces gives what it gives as a whole", () => {
  const sections = butterworth({ kind: "highpass", order: 3, cutoffHz: 5, sampleRate: 100 });
  const x = noise(60 * 2, 12);
  const whole = run([1, 60, 2], x, (b, v) => filterTime(b, v, sections)).data;
  const pieces = compileGraph(
    featureGraph("float32", [1, 20, 2], (b, v) => filterTime(b, v, sections, { streaming: true })),
    { target: "plain" },
  );
  const runner = createJsRunner(pieces.program, pieces.plan);
  runner.reset();
  for (let piece = 0; piece < 3; piece++) {
    runner.setInput(0, bytesOf(x.slice(piece * 40, piece * 40 + 40)));
    runner.run();
    expect(runner.output(0)).toEqual(bytesOf(whole.slice(piece * 40, piece * 40 + 40)));
  }
});
