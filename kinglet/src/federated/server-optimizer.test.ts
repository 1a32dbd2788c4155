import { expect, test } from "vitest";
import { serverStep } from "./index.ts";

const vector = (...numbers: number[]): Float32Array => Float32Array.from(numbers);

test("averaging adds the update, and so does momentum that remembers nothing", () => {
  const [w, delta] = [vector(1, 2), vector(0.5, -0.25)];
  expect(serverStep({ kind: "average" }, w, delta).parameters).toEqual(vector(1.5, 1.75));
  expect(serverStep({ kind: "momentum", beta: 0 }, w, delta).parameters).toEqual(vector(1.5, 1.75));
  expect(w).toEqual(vector(1, 2));
});

test("momentum goes on", () => {
  const optimizer = { kind: "momentum", beta: 0.5 } as const;
  const first = serverStep(optimizer, vector(0), vector(1));
  expect(serverStep(optimizer, first.parameters, vector(1), first.state).parameters).toEqual(vector(2.5));
});

test.each([
  ["adagrad", 0, (square: number) => square + 0.04],
  ["adam", 0.9, (square: number) => 0.99 * square + 0.01 * 0.04],
  ["yogi", 0.9, (square: number) => square - 0.01 * 0.04 * Math.sign(square - 0.04)],
] as const)("%s follows its formula for two rounds", (kind, beta1, next) => {
  const [rate, tau] = [0.1, 1e-3];
  let [w, m, v] = [1, 0, tau * tau];
  let step = { parameters: vector(1), state: new Map<string, Float32Array>() } as ReturnType<typeof serverStep>;
  for (let round = 0; round < 2; round++) {
    m = beta1 * m + (1 - beta1) * 0.2;
    v = next(v);
    w += (rate * m) / (Math.sqrt(v) + tau);
    step = serverStep({ kind, rate }, step.parameters, vector(0.2), step.state);
    expect(step.parameters[0]).toBeCloseTo(w, 5);
  }
});

test.each(["average", "momentum", "adagrad", "adam", "yogi"] as const)("%s: running statistics follow their mean", (kind) => {
  const [w, delta] = [vector(1, 0.01, 0.02, 1), vector(-0.5, -0.005, 0.01, 0.25)];
  const statistics = [{ from: 1, to: 3 }];
  const first = serverStep({ kind, rate: 0.5 }, w, delta, new Map(), statistics);
  const second = serverStep({ kind, rate: 0.5 }, first.parameters, delta, first.state, statistics);
  expect(second.parameters.slice(1, 3)).toEqual(w.slice(1, 3).map((x, i) => Math.fround(x + delta[i + 1]!) + delta[i + 1]!));
  expect(second.parameters[0]).toBe(serverStep({ kind, rate: 0.5 }, first.parameters, delta, first.state).parameters[0]);
});

test("an update of another model is refused", () => {
  expect(() => serverStep({ kind: "average" }, vector(1, 2), vector(1))).toThrow(/does not fit/);
});
