import { describe, expect, it } from "vitest";
import { Xorshift32 } from "../base/index.ts";
import type { KernelInstance, MemoryType, Placement, Program } from "../loops/index.ts";
import { checkPlan } from "./check.ts";
import { safeDistances, TRACE_LIMITS } from "./distance.ts";
import { placeBuffers } from "./place.ts";
import { apart, execute, link } from "./testing.ts";
import {
  add,
  channelsInTurn,
  concat,
  elementwise,
  gather,
  outSize,
  pointerWalk,
  reverse,
  repeatTwice,
  reverseThroughScratch,
  threshold,
  type Window,
  windowSum,
} from "./testkernels.ts";

function single(kernel: KernelInstance, inputs: number[], output: number, type: MemoryType = "i8", outType: MemoryType = "i8"): Program {
  const names = inputs.map((_, i) => `in${i}`);
  const buffers = { ...Object.fromEntries(names.map((name, i) => [name, { type, length: inputs[i]! }])), out: { type: outType, length: output } };
  return link(buffers, [{ name: "step", kernel, inputs: names, outputs: ["out"] }], names, ["out"]);
}

function distances(program: Program): { below: number; above: number }[] {
  const out = program.outputs[0]!.buffer;
  return safeDistances(
    program,
    program.steps[0]!,
    program.inputs.map((p) => p.buffer),
    [out],
  ).map(({ below, above }) => ({ below, above }));
}

/** The first input at `base`, the output `distance` above it, all else far away. */
function placed(program: Program, distance: number): Placement {
  const far = apart(program);
  const base = far.arenaBytes;
  const offsets = far.offsets.map((o) => o + 4 * base);
  offsets[program.inputs[0]!.buffer] = base;
  offsets[program.outputs[0]!.buffer] = base + distance;
  return { arenaBytes: 6 * base, offsets };
}

function conv(w: Window): Program {
  const { height, width } = outSize(w);
  return single(windowSum(w), [w.height * w.width * w.inChannels], height * width * w.outChannels);
}

/** The checker and real values both agree with what the analysis says of every distance. */
function verify(program: Program): { wrong: number; tight: boolean } {
  const [d] = distances(program) as [{ below: number; above: number }];
  const size = Math.max(...program.buffers.map((b) => b.length)) + 8;
  const expected = [5, 77].map((seed) => execute(program, apart(program), seed));
  let wrong = 0;
  const works = (distance: number): boolean => {
    const place = placed(program, distance);
    const same = [5, 77].every((seed, i) => JSON.stringify(execute(program, place, seed)) === JSON.stringify(expected[i]));
    if (checkPlan(program, place).ok && !same) wrong++;
    return checkPlan(program, place).ok && same;
  };
  for (let distance = -Math.ceil(size / 4) * 4; distance <= size; distance += 4) {
    const claimed = distance <= d.below || distance >= d.above;
    if (claimed && !works(distance)) wrong++;
  }
  const tight = Number.isFinite(d.below) && !works(d.below + 4) && !works(d.above - 4);
  return { wrong, tight };
}

describe("safe distances from loops", () => {
  it("lets elementwise steps work in place, and both inputs of an addition", () => {
    expect(distances(single(elementwise(40), [40], 40))).toEqual([{ below: 0, above: 40 }]);
    expect(distances(single(add(40), [40, 40], 40))).toEqual([
      { below: 0, above: 40 },
      { below: 0, above: 40 },
    ]);
  });

  it("knows element sizes", () => {
    // Narrowing can start at the input's place, widening must end where the input ends.
    expect(distances(single(elementwise(40, "i32", "i8"), [40], 40, "i32", "i8"))[0]!.below).toBe(0);
    expect(distances(single(elementwise(40, "i8", "i32"), [40], 40, "i8", "i32"))[0]!.below).toBe(-120);
  });

  it("finds one row and one pixel for a padded 3x3 window", () => {
    const [d] = distances(conv({ height: 8, width: 8, inChannels: 4, outChannels: 4, kernel: 3, stride: 1, padding: 1 }));
    // After pixel (y, x) is stored, (y - 1, x) is the lowest that is still needed … by the pixel's last channel.
    expect(d!.below).toBe(-(8 + 1) * 4 - 4);
  });

  it("finds steps that work in place although intervals of bytes overlap: channels in turn", () => {
    const program = single(channelsInTurn(6, 4, false), [24], 24);
    const [input, output] = [program.inputs[0]!.buffer, program.outputs[0]!.buffer];
    const [d] = safeDistances(program, program.steps[0]!, [input], [output]);
    expect(d).toMatchObject({ inPlace: true });
    expect(d!.below).toBeLessThan(0);
    expect(checkPlan(program, placed(program, 0)).ok).toBe(true);
    expect(placeBuffers(program).arenaBytes).toBe(24);
    expect(placeBuffers(program).lowerBoundBytes).toBe(24);
  });

  it("does not call that in place which reads a neighbour too late", () => {
    const program = single(channelsInTurn(6, 4, true), [24], 24);
    const [d] = safeDistances(program, program.steps[0]!, [program.inputs[0]!.buffer], [program.outputs[0]!.buffer]);
    expect(d!.inPlace).toBeUndefined();
    expect(checkPlan(program, placed(program, 0)).ok).toBe(false);
    expect(placeBuffers(program).arenaBytes).toBeGreaterThan(24);
  });

  it("takes a gathered input as needed whole", () => {
    const [d, ids] = distances(single(gather(40), [40, 40], 40));
    expect(d).toEqual({ below: -40 + 0, above: 40 });
    expect(ids).toEqual({ below: 0, above: 40 });
  });

  it("forbids nothing where all is read before anything is written", () => {
    const [d] = distances(single(reverseThroughScratch(24), [24], 24));
    expect(d!.below).toBeGreaterThanOrEqual(d!.above);
  });

  it("sees copies, reversal and moving pointers", () => {
    expect(distances(single(concat(16, 24), [16, 24], 40))).toEqual([
      { below: Infinity, above: -Infinity },
      { below: -16, above: 24 },
    ]);
    expect(distances(single(reverse(40), [40], 40))[0]).toEqual({ below: -40, above: 40 });
    expect(distances(single(pointerWalk(20, 2), [40], 20))[0]!.below).toBe(0);
  });

  it("follows helpers that compute indices, and both sides of what data decides", () => {
    const program = single(repeatTwice(20), [20], 40);
    expect(distances(program)).toEqual([{ below: -20, above: 20 }]);
    expect(checkPlan(program, placed(program, -20)).ok).toBe(true);
    expect(checkPlan(program, placed(program, -16)).ok).toBe(false);
    expect(distances(single(threshold(20), [20], 20))).toEqual([{ below: 0, above: 20 }]);
  });

  it("stays safe where loops are too long to run one by one", () => {
    const random = new Xorshift32(5);
    for (let k = 0; k < 60; k++) {
      const kernel = random.int(1, 3);
      const program = conv({
        height: random.int(3, 9),
        width: random.int(3, 9),
        inChannels: random.int(1, 4),
        outChannels: random.int(1, 5),
        kernel,
        stride: random.int(1, 2),
        padding: random.int(0, kernel >> 1),
      });
      const [input, output] = [program.inputs[0]!.buffer, program.outputs[0]!.buffer];
      const [exact] = safeDistances(program, program.steps[0]!, [input], [output]);
      for (const [mixed, detail] of [
        [0, 0],
        [9, 0],
        [90, 0],
        [1000, 0],
        [1000, 300],
      ] as const) {
        const [coarse] = safeDistances(program, program.steps[0]!, [input], [output], { ...TRACE_LIMITS, mixed, detail });
        expect(coarse!.below).toBeLessThanOrEqual(exact!.below);
        expect(coarse!.above).toBeGreaterThanOrEqual(exact!.above);
      }
      expect(safeDistances(program, program.steps[0]!, [input], [output], { ...TRACE_LIMITS, budget: 3 })).toEqual([]);
    }
  });

  it("agrees with real values and the checker on random windows", () => {
    const random = new Xorshift32(11);
    let tight = 0;
    for (let k = 0; k < 25; k++) {
      const kernel = random.int(1, 3);
      const w = {
        height: random.int(3, 6),
        width: random.int(3, 6),
        inChannels: random.int(1, 4),
        outChannels: random.int(1, 5),
        kernel,
        stride: random.int(1, 2),
        padding: random.int(0, kernel >> 1),
      };
      const result = verify(conv(w));
      expect(result.wrong, JSON.stringify(w)).toBe(0);
      tight += Number(result.tight);
    }
    expect(tight).toBeGreaterThan(15);
  });

  it("agrees with real values and the checker on the other kernels", () => {
    const programs = [
      single(elementwise(21), [21], 21),
      single(add(21), [21, 21], 21),
      single(concat(13, 9), [13, 9], 22),
      single(gather(18), [18, 18], 18),
      single(reverse(19), [19], 19),
      single(reverseThroughScratch(17), [17], 17),
      single(pointerWalk(9, 3), [27], 9),
      single(threshold(14), [14], 14),
    ];
    for (const program of programs) expect(verify(program).wrong).toBe(0);
  });
});
