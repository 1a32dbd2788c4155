import { describe, expect, it } from "vitest";
import { KingletError, Xorshift32 } from "../base/index.ts";
import type { Program, Step } from "../loops/index.ts";
import { checkPlan } from "./check.ts";
import { searchExactly } from "./exact.ts";
import { searchOrders, seedOrders } from "./firstfit.ts";
import { type Conflict, isLegal, type Layout } from "./layout.ts";
import { orderSteps, peakLiveBytes } from "./order.ts";
import { placeBuffers } from "./place.ts";
import { apart, execute, link, type TestBuffer, type TestNode } from "./testing.ts";
import {
  add,
  concat,
  elementwise,
  gather,
  outSize,
  pointerWalk,
  reverse,
  reverseThroughScratch,
  threshold,
  type Window,
  windowSum,
} from "./testkernels.ts";
import { type Problem, solve } from "./solve.ts";
import { planTimeline } from "./timeline.ts";

/** Blocks with lifetimes, and some pairs that may overlap at a distance. */
function randomLayout(random: Xorshift32, n: number): { layout: Layout; first: number[]; last: number[] } {
  const sizes = Array.from({ length: n }, () => random.int(1, 4) * 4);
  const first = sizes.map(() => random.int(0, 4));
  const last = first.map((f) => f + random.int(0, 2));
  const conflicts: Conflict[][] = sizes.map(() => []);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < i; j++) {
      if (first[i]! > last[j]! || first[j]! > last[i]!) continue;
      const diagonal = random.int(0, 2) === 0 && (first[i] === last[j] || first[j] === last[i]);
      const low = diagonal ? -random.int(-1, sizes[i]! / 4) * 4 : -sizes[i]!;
      const high = sizes[j]!;
      // What works in place may start at the same byte: one conflict on either side of it.
      const ends = low < 0 && random.int(0, 2) === 0 ? [low, 0, high] : [low, high];
      for (let e = 1; e < ends.length; e++) {
        conflicts[i]!.push({ other: j, low: ends[e - 1]!, high: ends[e]! });
        conflicts[j]!.push({ other: i, low: -ends[e]!, high: -ends[e - 1]! });
      }
    }
  }
  return { layout: { sizes, alignments: sizes.map(() => 4), conflicts }, first, last };
}

/** The least arena by trying every address for every block. */
function bruteForce(layout: Layout): number {
  const n = layout.sizes.length;
  const at = new Array<number>(n).fill(0);
  const fits = (i: number): boolean =>
    layout.conflicts[i]!.every((c) => c.other > i || at[i]! - at[c.other]! <= c.low || at[i]! - at[c.other]! >= c.high);
  const place = (i: number, top: number): boolean => {
    if (i === n) return true;
    for (at[i] = 0; at[i]! + layout.sizes[i]! <= top; at[i]! += 4) if (fits(i) && place(i + 1, top)) return true;
    return false;
  };
  let top = Math.max(...layout.sizes);
  while (!place(0, top)) top += 4;
  return top;
}

describe("layout search", () => {
  it("finds the optimum of small random cases, by branch and bound always", () => {
    const random = new Xorshift32(3);
    let heuristicHits = 0;
    for (let k = 0; k < 120; k++) {
      const { layout, first, last } = randomLayout(random, random.int(2, 6));
      const best = bruteForce(layout);
      const found = searchOrders(layout, seedOrders(layout, first, last), 0, 200);
      expect(isLegal(layout, found.addresses)).toBe(true);
      heuristicHits += Number(found.top === best);
      const exact = searchExactly(layout, found.top, 0, 1_000_000);
      expect(exact.exhausted).toBe(true);
      expect(exact.top).toBe(best);
      if (exact.addresses) expect(isLegal(layout, exact.addresses)).toBe(true);
    }
    expect(heuristicHits).toBeGreaterThan(110);
  });

  it("keeps every conflict where blocks have more than one with each other", () => {
    const random = new Xorshift32(5);
    for (let k = 0; k < 100; k++) {
      const sizes = Array.from({ length: 8 }, () => random.int(1, 6) * 4);
      // All may start at the same byte, but for the first three, which lie apart.
      const between = (i: number, j: number): Conflict[] => {
        const ends = i < 3 || j < 3 ? [-sizes[i]!, sizes[j]!] : [-sizes[i]!, 0, sizes[j]!];
        return ends.slice(1).map((high, e) => ({ other: j, low: ends[e]!, high }));
      };
      const conflicts = sizes.map((_, i) => sizes.flatMap((__, j) => (i === j ? [] : between(i, j))));
      const layout: Layout = { sizes, alignments: sizes.map(() => 4), conflicts };
      const steps = sizes.map((_, i) => i);
      expect(isLegal(layout, searchOrders(layout, seedOrders(layout, steps, steps), 0, 50).addresses)).toBe(true);
    }
  });

  it("keeps within its limits on large dense cases, and gives the same answer again", () => {
    const { layout, first, last } = randomLayout(new Xorshift32(8), 170);
    const run = (): number => {
      const found = searchOrders(layout, seedOrders(layout, first, last), 0, 100);
      const exact = searchExactly(layout, found.top, 0, 2000);
      expect(isLegal(layout, exact.addresses ?? found.addresses)).toBe(true);
      return exact.top;
    };
    expect(run()).toBe(run());
  });

  it("gives no problem the answer of one that is nearly the same", () => {
    const random = new Xorshift32(21);
    const problem = (n: number): Problem => {
      const { layout, first, last } = randomLayout(random, n);
      return { layout, lifetimes: first.map((at, buffer) => ({ buffer, first: at, last: last[buffer]! })), bound: 0, effort: 0.001 };
    };
    /** One conflict forbids a word more. */
    const wider = ({ layout, ...rest }: Problem): Problem => {
      const conflicts = layout.conflicts.map((list) => [...list]);
      const block = conflicts.findIndex((list) => list.length > 0);
      conflicts[block]![0] = { ...conflicts[block]![0]!, high: conflicts[block]![0]!.high + 4 };
      return { ...rest, layout: { ...layout, conflicts } };
    };
    const others = Array.from({ length: 10 }, () => problem(3));
    let parted = 0;
    for (let k = 0; k < 40; k++) {
      const one = problem(8);
      const next = wider(one);
      const [before, after] = [solve(one), solve(next)];
      expect(solve(one)).toEqual(before);
      for (const other of others) solve(other);
      expect(solve(next)).toEqual(after);
      parted += Number(!isLegal(next.layout, before.offsets));
    }
    expect(parted).toBeGreaterThan(5);
  });
});

/** A chain of windows and elementwise steps, like a small convolutional network. */
function chain(sizes: readonly Window[]): Program {
  const buffers: Record<string, TestBuffer> = { in: { type: "i8", length: sizes[0]!.height * sizes[0]!.width * sizes[0]!.inChannels } };
  const nodes: TestNode[] = [];
  let last = "in";
  sizes.forEach((w, i) => {
    const { height, width } = outSize(w);
    const length = height * width * w.outChannels;
    for (const [name, kernel] of [
      [`conv${i}`, windowSum(w)],
      [`act${i}`, elementwise(length)],
    ] as const) {
      buffers[name] = { type: "i8", length };
      nodes.push({ name, kernel, inputs: [last], outputs: [name] });
      last = name;
    }
  });
  return link(buffers, nodes, ["in"], [last]);
}

function window(height: number, inChannels: number, outChannels: number, kernel: number, stride: number): Window {
  return { height, width: height, inChannels, outChannels, kernel, stride, padding: kernel >> 1 };
}

/** Branches: x → a big value → small a, and the same for b; then the sum. The bad order computes both big ones first. */
function diamond(): Program {
  const buffers: Record<string, TestBuffer> = {
    x: { type: "i8", length: 16 },
    A: { type: "i8", length: 256 },
    B: { type: "i8", length: 256 },
    a: { type: "i8", length: 16 },
    b: { type: "i8", length: 16 },
    y: { type: "i8", length: 16 },
  };
  const grow = windowSum({ height: 4, width: 4, inChannels: 1, outChannels: 16, kernel: 1, stride: 1, padding: 0 });
  const shrink = windowSum({ height: 4, width: 4, inChannels: 16, outChannels: 1, kernel: 1, stride: 1, padding: 0 });
  const node = (name: string, kernel: TestNode["kernel"], inputs: string[], output: string): TestNode => ({
    name,
    kernel,
    inputs,
    outputs: [output],
  });
  return link(
    buffers,
    [
      node("growA", grow, ["x"], "A"),
      node("growB", grow, ["x"], "B"),
      node("shrinkA", shrink, ["A"], "a"),
      node("shrinkB", shrink, ["B"], "b"),
      node("sum", add(16), ["a", "b"], "y"),
    ],
    ["x"],
    ["y"],
  );
}

function expectSound(program: Program): void {
  const expected = execute(program, apart(program), 9);
  for (const options of [{}, { overlap: false }, { pinned: true }]) {
    const plan = placeBuffers(program, options);
    expect(checkPlan(program, plan).failures).toEqual([]);
    expect(execute(program, plan, 9)).toEqual(expected);
    expect(plan.arenaBytes).toBeGreaterThanOrEqual(plan.lowerBoundBytes);
  }
}

describe("plans", () => {
  const net = chain([window(12, 2, 6, 3, 2), window(6, 6, 6, 3, 1), window(6, 6, 10, 1, 1)]);

  it("are sound, and smaller with overlap", () => {
    expectSound(net);
    const plan = placeBuffers(net);
    expect(plan.arenaBytes).toBeLessThan(placeBuffers(net, { overlap: false }).arenaBytes);
    expect(plan.proved).toBe(true);
    expect(plan.overlaps.length).toBeGreaterThan(2);
    expectSound(diamond());
  });

  it("are caught by the checker when an offset is shifted", () => {
    const plan = placeBuffers(net, { overlap: false });
    let caught = 0;
    net.buffers.forEach((_, b) => {
      for (const shift of [-4, 4]) {
        const offsets = plan.offsets.map((o, i) => (i === b ? o + shift : o));
        const changed = { arenaBytes: plan.arenaBytes + 8, offsets };
        const { ok, failures } = checkPlan(net, changed);
        // What the checker lets pass must really work.
        if (ok) expect(execute(net, { ...changed, offsets }, 9)).toEqual(execute(net, apart(net), 9));
        else caught++;
        if (!ok) expect(failures[0]!.message).toMatch(/\.$/);
      }
    });
    expect(caught).toBeGreaterThan(3);
    const same = checkPlan(net, { arenaBytes: plan.arenaBytes, offsets: plan.offsets.map(() => 0) });
    expect(same.failures[0]).toMatchObject({ kind: "overwritten", step: "conv0", buffer: "in" });
  });

  it("are sound for random networks of all kinds of kernels", () => {
    const random = new Xorshift32(77);
    const kernels = [
      (): TestNode["kernel"] => elementwise(24),
      () => reverse(24),
      () => reverseThroughScratch(24),
      () => pointerWalk(24, 1),
      () => threshold(24),
      () => windowSum({ height: 4, width: 3, inChannels: 2, outChannels: 2, kernel: 3, stride: 1, padding: 1 }),
      () => add(24),
      () => gather(24),
    ];
    for (let k = 0; k < 30; k++) {
      const buffers: Record<string, TestBuffer> = { v0: { type: "i8", length: 24 }, v1: { type: "i8", length: 24 } };
      const nodes = Array.from({ length: random.int(3, 14) }, (_, i): TestNode => {
        const pick = (): string => `v${random.int(Math.max(0, i - 2), i + 1)}`;
        buffers[`v${i + 2}`] = { type: "i8", length: 24 };
        return { name: `s${i}`, kernel: kernels[random.int(0, kernels.length - 1)]!(), inputs: [pick(), pick()], outputs: [`v${i + 2}`] };
      });
      const program = link(buffers, nodes, ["v0", "v1"], [`v${nodes.length + 1}`, `v${nodes.length}`]);
      expectSound(program);
      expectSound(orderSteps(program));
    }
  });

  it("keep state and scratch apart from everything", () => {
    const buffers: Record<string, TestBuffer> = {
      x: { type: "i8", length: 20 },
      memory: { type: "i8", length: 20, state: true },
      u: { type: "i8", length: 20 },
      y: { type: "i8", length: 40 },
    };
    const program = link(
      buffers,
      [
        { name: "mix", kernel: add(20), inputs: ["x", "memory"], outputs: ["u"] },
        { name: "join", kernel: concat(20, 20), inputs: ["u", "memory"], outputs: ["y"] },
        { name: "keep", kernel: reverseThroughScratch(20), inputs: ["y"], outputs: ["memory"] },
      ],
      ["x"],
      ["y"],
    );
    expectSound(program);
    const plan = placeBuffers(program);
    const timeline = planTimeline(program, plan);
    expect(timeline.blocks.map((b) => b.kind)).toEqual(["input", "state", "value", "output", "scratch"]);
    expect(timeline.steps[timeline.peakStep]!.liveBytes).toBeLessThanOrEqual(plan.arenaBytes);
  });

  it("refuse a value that nothing writes", () => {
    const broken = { ...net, steps: net.steps.slice(1) };
    expect(() => placeBuffers(broken)).toThrow(KingletError);
  });

  it("report reads outside of a buffer", () => {
    const short = { ...net, buffers: net.buffers.map((b, i) => (i === 0 ? { ...b, length: b.length - 5 } : b)) };
    expect(checkPlan(short, apart(net)).failures[0]).toMatchObject({ kind: "out-of-bounds", buffer: "in" });
  });
});

describe("step order", () => {
  it("finishes one branch before the next", () => {
    const program = diamond();
    const ordered = orderSteps(program);
    expect(peakLiveBytes(ordered)).toBeLessThan(peakLiveBytes(program));
    expect(ordered.steps.map((s) => s.name)).toEqual(["growA", "shrinkA", "growB", "shrinkB", "sum"]);
    expect(execute(ordered, apart(ordered), 4)).toEqual(execute(program, apart(program), 4));
    expect(orderSteps(ordered)).toBe(ordered);
  });

  it("finds the best of all orders of random graphs", () => {
    const random = new Xorshift32(21);
    for (let k = 0; k < 40; k++) {
      const program = randomGraph(random, random.int(3, 7));
      const orders = permutations(program);
      const best = Math.min(...orders.map((steps) => peakLiveBytes({ ...program, steps })));
      expect(peakLiveBytes(orderSteps(program))).toBe(best);
    }
  });
});

function randomGraph(random: Xorshift32, n: number): Program {
  const buffers: Record<string, TestBuffer> = { v0: { type: "i8", length: 8 } };
  const nodes = Array.from({ length: n }, (_, i): TestNode => {
    buffers[`v${i + 1}`] = { type: "i8", length: random.int(1, 9) * 4 };
    return { name: `s${i}`, kernel: add(4), inputs: [`v${random.int(0, i)}`, `v${random.int(Math.max(0, i - 2), i)}`], outputs: [`v${i + 1}`] };
  });
  return link(buffers, nodes, ["v0"], [`v${n}`]);
}

/** Every order in which each value is written before it is read. */
function permutations(program: Program): Step[][] {
  const found: Step[][] = [];
  const buffers = (step: Step): number[] => step.args.flatMap((arg) => (arg.kind === "buffer" ? [arg.index] : []));
  const visit = (order: Step[], known: ReadonlySet<number>): void => {
    if (order.length === program.steps.length) found.push(order);
    for (const step of program.steps) {
      const [a, b, out] = buffers(step) as [number, number, number];
      if (!order.includes(step) && known.has(a) && known.has(b)) visit([...order, step], new Set([...known, out]));
    }
  };
  visit([], new Set([program.inputs[0]!.buffer]));
  return found;
}

describe("an image that one stage writes row by row and the next one reads", () => {
  const [rows, row] = [4, 8];

  /** x → a → y, a row of each at a time; all of a is made before y is begun. */
  function twoStages(): Program {
    const length = rows * row;
    const image = { type: "i8", length } as const;
    const nodes: TestNode[] = [
      { name: "first", kernel: elementwise(row), inputs: ["x"], outputs: ["a"] },
      { name: "second", kernel: elementwise(row), inputs: ["a"], outputs: ["y"] },
    ];
    const made = link({ x: image, a: image, y: image }, nodes, ["x"], ["y"]);
    const walks = (step: Step): Step => ({
      ...step,
      args: step.args.map((arg) => (arg.kind === "buffer" ? { ...arg, start: 0, advance: row } : arg)),
    });
    const order = new Array<number>(rows).fill(0);
    return {
      ...made,
      buffers: made.buffers.map((buffer) => ({ ...buffer, shape: [1, rows, 1, row] })),
      steps: made.steps.map(walks),
      stages: made.steps.map(({ name }, first) => ({ name, first, count: 1, order })),
    };
  }

  it("lies a row before what it is made from, and a row behind what is made from it", () => {
    const program = twoStages();
    const plan = placeBuffers(program);
    expect(checkPlan(program, plan)).toMatchObject({ ok: true });
    expect(plan.arenaBytes).toBe((rows + 2) * row);
  });
});
