import { expect, test } from "vitest";
import { Xorshift32 } from "../base/index.ts";
import { mlp } from "../zoo/index.ts";
import { type Distillation, type StepOptions, TrainingSession } from "./index.ts";

const [BATCH, INPUTS, CLASSES] = [3, 5, 4];
const student = mlp({ inputs: INPUTS, hidden: [6], classes: CLASSES, batch: BATCH, seed: 3 });
const teacher = mlp({ inputs: INPUTS, hidden: [7], classes: CLASSES, batch: 1, seed: 9, probabilities: true });
const RATE = 1;

const random = new Xorshift32(11);
const data = Float32Array.from({ length: BATCH * INPUTS }, () => 2 * random.float());
const targets = Float32Array.of(1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1);

function sessionOf(distill: Partial<Distillation>, options: Partial<StepOptions> = {}): TrainingSession {
  const all = { teacher, ...distill };
  return new TrainingSession(student, { optimizer: { kind: "sgd", momentum: 0 }, distill: all, ...options }, "plain");
}

/** Scores of one of the networks by its own weights, in double precision. */
function scores(network: typeof student, sample: number): number[] {
  let x = Array.from(data.slice(sample * INPUTS, (sample + 1) * INPUTS));
  for (const node of network.nodes.filter(({ op }) => op === "fullyConnected")) {
    const [, w, b] = node.inputs.map((value) => value?.data as Float32Array);
    const y = Array.from(b!, (bias, o) => x.reduce((sum, value, i) => sum + value * w![o * x.length + i]!, bias));
    x = node.attributes["activation"] === "relu" ? y.map((value) => Math.max(0, value)) : y;
  }
  return x;
}

function softmax(z: readonly number[], temperature = 1): number[] {
  const powers = z.map((value) => Math.exp(value / temperature));
  const total = powers.reduce((sum, value) => sum + value, 0);
  return powers.map((value) => value / total);
}

/** The formula itself. */
function expectedLoss(temperature: number, alpha: number): number {
  let total = 0;
  for (let i = 0; i < BATCH; i++) {
    const [z, zt] = [scores(student, i), scores(teacher, i)];
    const [p, q, r] = [softmax(z), softmax(z, temperature), softmax(zt, temperature)];
    const hard = -Math.log(p[targets.slice(i * CLASSES, (i + 1) * CLASSES).indexOf(1)]!);
    const divergence = r.reduce((sum, value, c) => sum + value * Math.log(value / q[c]!), 0);
    total += (1 - alpha) * hard + alpha * temperature ** 2 * divergence;
  }
  return total / BATCH;
}

test.each([
  [1, 0.5],
  [4, 0.9],
  [20, 1],
])("the loss at temperature %d and alpha %d is the formula's", (temperature, alpha) => {
  const { loss } = sessionOf({ temperature, alpha }).run([data], targets, RATE);
  expect(Math.abs(loss - expectedLoss(temperature, alpha))).toBeLessThan(1e-4 * Math.max(1, loss));
});

test("the gradient agrees with finite differences, and the teacher stays as it is", () => {
  const session = sessionOf({ temperature: 3, alpha: 0.7 });
  const before = session.save();
  session.run([data], targets, RATE);
  const after = session.save();
  const lossAt = (name: string, at: number, by: number): number => {
    const variables = new Map(before.variables);
    variables.set(
      name,
      before.variables.get(name)!.map((w, i) => (i === at ? w + by : w)),
    );
    session.restore({ steps: 0, variables });
    return session.run([data], targets, 0).loss;
  };
  const names = [...before.variables.keys()];
  expect(names.some((name) => name.startsWith("teacher"))).toBe(false);
  const step = 2 ** -7;
  for (const name of names.filter((each) => !each.includes("/"))) {
    const [old, moved] = [before.variables.get(name)!, after.variables.get(name)!];
    for (let at = 0; at < old.length; at += 5) {
      const [up, down] = [lossAt(name, at, step), lossAt(name, at, -step)];
      expect(Math.abs(old[at]! - moved[at]! - (up - down) / (2 * step)), `${name} ${at}`).toBeLessThan(0.01);
    }
  }
});

test("a student that is its teacher has nothing to learn from it", () => {
  const session = sessionOf({ teacher: student, temperature: 5, alpha: 1 });
  const before = session.save();
  expect(Math.abs(session.run([data], targets, RATE).loss)).toBeLessThan(1e-5);
  for (const [name, weights] of session.save().variables)
    weights.forEach((w, i) => expect(Math.abs(w - before.variables.get(name)![i]!)).toBeLessThan(1e-4));
});

test("no weight changes before the loss is known", () => {
  const { compiled } = sessionOf({});
  const at = (found: (name: string) => boolean): number => compiled.program.steps.findIndex(({ name }) => found(name));
  expect(at((name) => name === "losses")).toBeGreaterThan(0);
  expect(at((name) => name === "losses")).toBeLessThan(at((name) => name.startsWith("update ")));
});

test("what does not fit is refused", () => {
  expect(() => sessionOf({ teacher: mlp({ inputs: 6, classes: CLASSES }) })).toThrow(/the teacher takes float32\[3,6\] and the student \[3,5\]/);
  expect(() => sessionOf({ teacher: mlp({ inputs: INPUTS, classes: 7, batch: BATCH }) })).toThrow(/answers \[3,7\]/);
  expect(() => sessionOf({ temperature: 0 })).toThrow(/temperature is 0/);
  expect(() => sessionOf({ alpha: 2 })).toThrow(/alpha is 2/);
  expect(() => sessionOf({}, { loss: "meanSquare" })).toThrow(/needs classes/);
});
