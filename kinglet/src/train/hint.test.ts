import { expect, test } from "vitest";
import { Xorshift32 } from "../base/index.ts";
import { dsCnn, mlp } from "../zoo/index.ts";
import { type Hint, TrainingSession } from "./index.ts";

const [BATCH, INPUTS, CLASSES] = [4, 5, 3];
const student = mlp({ inputs: INPUTS, hidden: [6], classes: CLASSES, batch: BATCH, seed: 3 });
const teacher = mlp({ inputs: INPUTS, hidden: [9], classes: CLASSES, seed: 9 });
const random = new Xorshift32(11);
const data = Float32Array.from({ length: BATCH * INPUTS }, () => random.float());
const targets = Float32Array.of(1, 0, 0, 0, 1, 0, 0, 0, 1, 1, 0, 0);
const hint: Hint = { student: "dense_1", teacher: "dense_1" };

function sessionOf(given: Hint | undefined, of = student, from = teacher): TrainingSession {
  const distill = { teacher: from, alpha: 0.5, ...(given === undefined ? {} : { hint: given }) };
  return new TrainingSession(of, { optimizer: { kind: "sgd", momentum: 0 }, distill }, "plain");
}

function lossOf(session: TrainingSession, rate = 0): number {
  return session.run([data], targets, rate).loss;
}

test("a hint adds the mean square between both layers, through a regressor that is trained along", () => {
  const session = sessionOf({ ...hint, weight: 2 });
  const regressor = session.variable("hint/regressor");
  expect(regressor).toHaveLength(9 * 6);
  const hidden = (network: typeof student, sample: number): number[] => {
    const [, w, b] = network.nodes[0]!.inputs.map((value) => value?.data as Float32Array);
    return Array.from(b!, (bias, o) =>
      Math.max(0, bias + [...data.slice(sample * INPUTS, (sample + 1) * INPUTS)].reduce((sum, x, i) => sum + x * w![o * INPUTS + i]!, 0)),
    );
  };
  let squares = 0;
  for (let i = 0; i < BATCH; i++) {
    const [own, other] = [hidden(student, i), hidden(teacher, i)];
    other.forEach((y, c) => (squares += (own.reduce((sum, x, k) => sum + x * regressor[c * 6 + k]!, 0) - y) ** 2));
  }
  expect(lossOf(session)).toBeCloseTo(lossOf(sessionOf(undefined)) + (2 * squares) / (9 * BATCH), 4);
  lossOf(session, 0.1);
  expect(session.variable("hint/regressor")).not.toEqual(regressor);
  expect([...session.trainedConstants().keys()].map(({ name }) => name)).not.toContain("hint/regressor");
});

test("its gradient agrees with finite differences", () => {
  const session = sessionOf(hint);
  const before = session.save();
  lossOf(session, 1);
  const after = session.save();
  for (const name of ["hint/regressor", "dense_1_weights"])
    for (const at of [0, 7, 20]) {
      const lossAt = (by: number): number => {
        const moved = before.variables.get(name)!.map((w, i) => (i === at ? w + by : w));
        session.restore({ steps: 0, variables: new Map(before.variables).set(name, moved) });
        return lossOf(session);
      };
      const slope = (lossAt(2 ** -7) - lossAt(-(2 ** -7))) * 2 ** 6;
      expect(Math.abs(before.variables.get(name)![at]! - after.variables.get(name)![at]! - slope), `${name} ${at}`).toBeLessThan(0.01);
    }
});

test("maps of equal channels need no regressor, and are learned from through a 1x1 convolution where they differ", () => {
  const digits = (width: number, batch: number): ReturnType<typeof dsCnn> => dsCnn({ variant: "digits", size: [8, 8], classes: 3, width, batch });
  const layer = digits(0.5, 1).nodes.find(({ op }) => op === "depthwiseConv2d")!.name;
  const names = (width: number): string[] => [
    ...new TrainingSession(
      digits(0.5, 2),
      { optimizer: { kind: "sgd" }, distill: { teacher: digits(width, 1), hint: { student: layer, teacher: layer } } },
      "plain",
    )
      .save()
      .variables.keys(),
  ];
  expect(names(0.5)).not.toContain("hint/regressor");
  expect(names(1)).toContain("hint/regressor");
});

test("NaN in a hint changes nothing and is found", () => {
  const session = sessionOf(hint);
  const before = session.save();
  const bad = data.map(() => 3e38);
  expect(session.run([bad], targets, 0.1).loss).toBeNaN();
  expect(session.save()).toEqual(before);
  expect(session.whereNotFinite([bad], targets)).toMatch(/first in "/);
});

test("layers that do not exist or do not agree are refused", () => {
  expect(() => sessionOf({ ...hint, student: "dense_7" })).toThrow(/the student has no layer "dense_7"/);
  expect(() => sessionOf({ ...hint, teacher: "dense_7" })).toThrow(/the teacher has no layer/);
  expect(() => sessionOf({ ...hint, weight: 0 })).toThrow(/weight is 0/);
});
