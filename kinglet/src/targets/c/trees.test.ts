import { expect, test } from "vitest";
import { bytesOf, fromBytes, Xorshift32 } from "../../base/index.ts";
import { type Graph, GraphBuilder } from "../../graph/index.ts";
import type { Schedules } from "../../ops/index.ts";
import { createJsRunner, separatePlacement } from "../js/index.ts";
import { lower } from "../lower.ts";
import { treeSchedule } from "./trees.ts";

/** Every kind of float on both sides of zero, and patterns that are no numbers. */
const PATTERNS = [0, 1, 0x007fffff, 0x00800000, 0x3f7fffff, 0x3f800000, 0x7f7fffff, 0x7f800000];
const NANS = [0x7f800001, 0x7fc00000, 0x7fffffff];
const random = new Xorshift32(3);
const numbers = [...PATTERNS, ...Array.from({ length: 24 }, () => random.next() % 0x7f800000)].flatMap((bits) => [bits, bits + 2 ** 31]);

function floatsOf(patterns: readonly number[]): Float32Array {
  return new Float32Array(Uint32Array.from(patterns).buffer);
}

const THRESHOLDS = floatsOf(numbers);
const X = floatsOf([...numbers, ...NANS.flatMap((bits) => [bits, bits + 2 ** 31])]);

/** A tree for each threshold, with a target of its own that gets 1 where x is at most the threshold. */
function questions(missing: boolean): Graph {
  const [builder, count] = [new GraphBuilder("questions"), THRESHOLDS.length];
  const all = Array.from({ length: count }, (_, i) => i);
  const x = builder.input("x", { dtype: "float32", shape: [X.length, 1] });
  const inputs = [
    x,
    builder.constant(
      "features",
      { dtype: "uint8", shape: [count] },
      Uint8Array.from(all, (i) => (missing ? i % 2 : 0)),
    ),
    builder.constant("thresholds", { dtype: "float32", shape: [count] }, THRESHOLDS),
    builder.constant("children", { dtype: "uint16", shape: [count, 2] }, Uint16Array.from(all.flatMap((i) => [count + 2 * i, count + 2 * i + 1]))),
    builder.constant("roots", { dtype: "uint8", shape: [count] }, Uint8Array.from(all)),
    builder.constant("votes", { dtype: "float32", shape: [2 * count, 1] }, Float32Array.from(all.flatMap(() => [0, 1]))),
    builder.constant("voted", { dtype: "uint8", shape: [2 * count, 1] }, Uint8Array.from(all.flatMap((i) => [i, i]))),
  ];
  const y = builder.value("y", { dtype: "float32", shape: [X.length, count] });
  builder.node("treeEnsemble", inputs, [y], { aggregate: "sum", targets: count, missing });
  builder.output(y);
  return builder.build();
}

function answers(missing: boolean, schedules: Schedules): Float32Array {
  const program = lower(questions(missing), { schedules });
  const runner = createJsRunner(program, separatePlacement(program));
  runner.setInput(0, bytesOf(X));
  runner.run();
  return fromBytes("float32", runner.output(0)) as Float32Array;
}

test.each([false, true])(
  "integers have the order of floats, zeros, subnormals, infinities and what is not a number (missing values: %s)",
  (missing) => {
    const want = Float32Array.from({ length: X.length * THRESHOLDS.length }, (_, k) => {
      const [x, i] = [X[Math.floor(k / THRESHOLDS.length)]!, k % THRESHOLDS.length];
      return x <= THRESHOLDS[i]! || (missing && i % 2 === 1 && Number.isNaN(x)) ? 1 : 0;
    });
    expect(answers(missing, { treeEnsemble: treeSchedule })).toEqual(want);
    expect(answers(missing, {})).toEqual(want);
  },
);
