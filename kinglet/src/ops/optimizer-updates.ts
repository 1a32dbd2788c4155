import { elementCount, sameShape } from "../base/index.ts";
import type { Node, ValueType } from "../graph/index.ts";
import type { Buffer, Expr, KernelBuilder, KernelInstance } from "../loops/index.ts";
import { decayed, floatDescent } from "./descent.ts";
import { oneType } from "./elementwise.ts";
import { attributesOf, inputOf, type OpCase, type OpDef, refuse, typeAt } from "./op.ts";

export interface SgdAttributes {
  readonly momentum: number;
  readonly nesterov: boolean;
  readonly weightDecay: number;
}

export interface AdamAttributes {
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  /** Added to the gradient (Adam), or taken from the weights directly where `decoupled` (AdamW, Loshchilov & Hutter 2019). */
  readonly weightDecay: number;
  readonly decoupled: boolean;
}

export interface RmsPropAttributes {
  readonly decay: number;
  readonly epsilon: number;
  readonly weightDecay: number;
}

/** The weights and the optimizer's memory of them, which a step changes. */
function stateOf(k: KernelBuilder, names: readonly string[]): Buffer[] {
  return names.map((name, i) => k.input(i, name, true));
}

/**
 * Visits the weights that have a gradient: all of them, or the first channels (the last dimension) where it has fewer. Gives the place of
 * the weight, that of its gradient, and the index along the axis of its scales.
 */
export function eachLearned(k: KernelBuilder, node: Node, gradient: number, body: (at: Expr, from: Expr, channel: () => Expr) => void): void {
  const { shape, quantization } = inputOf(node, 0);
  const [width, learned] = [shape.at(-1)!, inputOf(node, gradient).shape.at(-1)!];
  const axis = quantization?.axis ?? 0;
  const alongLast = axis === shape.length - 1;
  const inner = alongLast ? 1 : elementCount(shape.slice(axis + 1, -1));
  const [step, count] = [k.int("width", width), k.int("learned", learned)];
  k.for("outer", 0, k.int("rows", elementCount(shape) / width), (row) => {
    const channel = (i: Expr): Expr => (alongLast ? i : inner === 1 ? row : row.div(k.int("rows_per_channel", inner)));
    k.for("i", 0, count, (i) => body(k.let("at", row.mul(step).add(i)), row.mul(count).add(i), () => channel(i)));
  });
}

function eachWeight(k: KernelBuilder, node: Node, body: (i: Expr) => void): void {
  oneType(node, ["float32"]);
  k.for("i", 0, k.int("count", elementCount(inputOf(node, 0).shape)), body);
}

function sgdLoops(k: KernelBuilder, node: Node): KernelInstance {
  const { momentum, nesterov, weightDecay } = attributesOf<SgdAttributes>(node);
  const [w, velocity] = stateOf(k, ["w", "velocity"]) as [Buffer, Buffer];
  const [g, rate] = [k.input(2, "g"), k.input(3, "rate")];
  const step = k.let("step", rate.load(0));
  eachWeight(k, node, (i) => {
    const weight = k.let("weight", w.load(i));
    const gradient = k.let("gradient", decayed(k, g.load(i), weight, weightDecay));
    const v = k.let("v", velocity.load(i).mul(k.float("momentum", momentum)).add(gradient));
    velocity.store(i, v);
    w.store(i, weight.sub(step.mul(nesterov ? gradient.add(v.mul(k.float("momentum", momentum))) : v)));
  });
  return k.finish(`sgd_update${nesterov ? "_nesterov" : ""}_f32`, "A step of stochastic gradient descent with momentum.");
}

/** Without momentum there is nothing to remember. */
function descentLoops(k: KernelBuilder, node: Node): KernelInstance {
  const { weightDecay } = attributesOf<Pick<SgdAttributes, "weightDecay">>(node);
  const { move } = floatDescent(k, 2, weightDecay);
  const g = k.input(1, "g");
  if (sameShape(inputOf(node, 0).shape, inputOf(node, 1).shape)) eachWeight(k, node, (i) => move(i, g.load(i), () => i));
  else eachLearned(k, node, 1, (at, from, channel) => move(at, g.load(from), channel));
  return k.finish("descent_update_f32", "A step of gradient descent.");
}

function adamLoops(k: KernelBuilder, node: Node): KernelInstance {
  const { beta1, beta2, epsilon, weightDecay, decoupled } = attributesOf<AdamAttributes>(node);
  const [w, mean, square] = stateOf(k, ["w", "mean", "square"]) as [Buffer, Buffer, Buffer];
  const [g, rates] = [k.input(3, "g"), k.input(4, "rates")];
  const [step, root] = [k.let("step", rates.load(1)), k.let("root", rates.load(2))];
  const shrink = decoupled && weightDecay !== 0 ? k.let("shrink", rates.load(0).mul(k.float("weight_decay", weightDecay))) : null;
  eachWeight(k, node, (i) => {
    const weight = k.let("weight", w.load(i));
    const gradient = k.let("gradient", decayed(k, g.load(i), weight, decoupled ? 0 : weightDecay));
    const m = k.let(
      "m",
      mean
        .load(i)
        .mul(k.float("beta1", beta1))
        .add(gradient.mul(k.float("rest1", 1 - beta1))),
    );
    const v = k.let(
      "v",
      square
        .load(i)
        .mul(k.float("beta2", beta2))
        .add(gradient.mul(gradient).mul(k.float("rest2", 1 - beta2))),
    );
    mean.store(i, m);
    square.store(i, v);
    const moved = weight.sub(step.mul(m).div(v.sqrt().mul(root).add(k.float("epsilon", epsilon))));
    w.store(i, shrink === null ? moved : moved.sub(shrink.mul(weight)));
  });
  return k.finish("adam_update_f32", "A step of Adam.");
}

function rmsPropLoops(k: KernelBuilder, node: Node): KernelInstance {
  const { decay, epsilon, weightDecay } = attributesOf<RmsPropAttributes>(node);
  const [w, square] = stateOf(k, ["w", "square"]) as [Buffer, Buffer];
  const [g, rate] = [k.input(2, "g"), k.input(3, "rate")];
  const step = k.let("step", rate.load(0));
  eachWeight(k, node, (i) => {
    const weight = k.let("weight", w.load(i));
    const gradient = k.let("gradient", decayed(k, g.load(i), weight, weightDecay));
    const v = k.let(
      "v",
      square
        .load(i)
        .mul(k.float("decay", decay))
        .add(gradient.mul(gradient).mul(k.float("rest", 1 - decay))),
    );
    square.store(i, v);
    w.store(i, weight.sub(step.mul(gradient).div(v.sqrt().add(k.float("epsilon", epsilon)))));
  });
  return k.finish("rmsprop_update_f32", "A step of RMSProp.");
}

function emaLoops(k: KernelBuilder, node: Node): KernelInstance {
  const { decay } = attributesOf<{ decay: number }>(node);
  const average = k.input(0, "average", true);
  const x = k.input(1, "x");
  eachWeight(k, node, (i) =>
    average.store(
      i,
      average
        .load(i)
        .mul(k.float("decay", decay))
        .add(x.load(i).mul(k.float("rest", 1 - decay))),
    ),
  );
  return k.finish("moving_average_f32", "Moves a running average on.");
}

const floats = (shape: number[]): ValueType => ({ dtype: "float32", shape });

/**
 * Types of an update whose gradient is input `gradient`: its shape is that of the weights, but for fewer channels where only some learn.
 * There is no output.
 */
export function inferUpdate(name: string, types: Parameters<OpDef["infer"]>[0], gradient: number, rates: number): ReturnType<OpDef["infer"]> {
  const [{ shape: w }, { shape: g }] = [typeAt(name, types, 0), typeAt(name, types, gradient)];
  const fits = g.length === w.length && g.every((size, d) => (d === w.length - 1 ? size <= w[d]! : size === w[d]));
  if (!fits) refuse(name, `a gradient of [${g.join(",")}] does not fit weights of [${w.join(",")}]`);
  if (rates > 0 && elementCount(typeAt(name, types, gradient + 1).shape) !== rates) refuse(name, `${rates} rates are needed`);
  return [];
}

/** An update with `states` variables, a gradient, and `rates` numbers; it has no output. */
function update(name: string, states: number, rates: number, loops: OpDef["loops"], attributes: OpCase["attributes"]): OpDef {
  const variable = { ...floats([37]), variable: true };
  // Squares that are averaged are not negative.
  const memory = { ...variable, low: 0.1, high: 2 };
  const inputs = [variable, ...Array.from({ length: states - 1 }, () => memory), floats([37]), ...(rates > 0 ? [floats([rates])] : [])];
  return {
    name,
    infer(types) {
      const count = elementCount(typeAt(name, types, 0).shape);
      for (let i = 1; i < states; i++) if (elementCount(typeAt(name, types, i).shape) !== count) refuse(name, "weights and memory differ in size");
      return inferUpdate(name, types, states, rates);
    },
    loops,
    cases: [{ name: "float", inputs, outputs: [], attributes }],
  };
}

/** Inputs: weights, velocity (both change), gradient, rate [1]. v ← momentum · v + g; w ← w − rate · v, or with Nesterov's look ahead. */
export const sgdUpdate = update("sgdUpdate", 2, 1, sgdLoops, { momentum: 0.9, nesterov: true, weightDecay: 0.01 });

const descent = update("descentUpdate", 1, 1, descentLoops, { weightDecay: 0.01 });

/** Inputs: weights (change), gradient, rate [1]. w ← w − rate · g. The gradient may have fewer channels, in the last dimension. */
export const descentUpdate: OpDef = {
  ...descent,
  cases: [
    ...descent.cases,
    { name: "some channels", inputs: [{ ...floats([3, 2, 8]), variable: true }, floats([3, 2, 5]), floats([1])], outputs: [], attributes: { weightDecay: 0 } },
  ],
};

/**
 * Kingma & Ba, ICLR 2015. Inputs: weights, mean, square (all change), gradient, and three rates: the learning rate, the same divided
 * by 1 − beta1^t, and 1 / √(1 − beta2^t).
 */
export const adamUpdate = update("adamUpdate", 3, 3, adamLoops, { beta1: 0.9, beta2: 0.999, epsilon: 1e-7, weightDecay: 0.01, decoupled: true });

/** Inputs: weights, square (both change), gradient, rate [1]. */
export const rmsPropUpdate = update("rmsPropUpdate", 2, 1, rmsPropLoops, { decay: 0.9, epsilon: 1e-7, weightDecay: 0 });

/** average ← decay · average + (1 − decay) · x. Inputs: the average (changes), x. */
export const movingAverage = update("movingAverage", 1, 0, emaLoops, { decay: 0.9 });
