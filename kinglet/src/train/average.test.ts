import { expect, test } from "vitest";
import { Xorshift32 } from "../base/index.ts";
import { mlp } from "../zoo/index.ts";
import { TrainingSession } from "./index.ts";

const network = mlp({ inputs: 4, hidden: [3], classes: 2, batch: 2 });
const options = { optimizer: { kind: "sgd" }, averageDecay: 0.9 } as const;
const random = new Xorshift32(4);
const data = Float32Array.from({ length: 8 }, () => random.float());
const targets = Float32Array.of(1, 0, 0, 1);
const NAME = "dense_1_weights";

function averageOf(session: TrainingSession): Float32Array {
  return [...session.trainedConstants()].find(([{ name }]) => name === NAME)![1] as Float32Array;
}

test("what is given back is the moving average of the weights, slower at the beginning", () => {
  const session = new TrainingSession(network, options);
  let expected = session.variable(NAME);
  for (let n = 1; n <= 5; n++) {
    session.run([data], targets, 0.5);
    const [decay, now] = [Math.min(0.9, (1 + n) / (10 + n)), session.variable(NAME)];
    expected = expected.map((average, i) => decay * average + (1 - decay) * now[i]!);
  }
  expect(averageOf(session)).toEqual(expected);
  expect(averageOf(session)).not.toEqual(session.variable(NAME));
});

test("averages are kept in a saved state, and what was masked is 0 in them", () => {
  const [whole, first, second] = [0, 1, 2].map(() => new TrainingSession(network, options)) as [TrainingSession, TrainingSession, TrainingSession];
  const run = (session: TrainingSession, steps: number): void => {
    for (let i = 0; i < steps; i++) session.run([data], targets, 0.5);
  };
  run(whole, 4);
  run(first, 2);
  second.restore(first.save());
  run(second, 2);
  expect(averageOf(second)).toEqual(averageOf(whole));
  whole.mask(new Map([[NAME, Uint8Array.from({ length: 12 }, (_, i) => i % 2)]]));
  run(whole, 1);
  expect([...averageOf(whole)].every((w, i) => i % 2 === 1 || w === 0)).toBe(true);
  expect(() => new TrainingSession(network, { ...options, averageDecay: 1 })).toThrow(/average keeps 1/);
});
