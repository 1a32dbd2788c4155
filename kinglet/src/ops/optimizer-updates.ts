import { elementCount } from "../base/index.ts";
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
  eachWeight(k, node, (i) => move(i, g.load(i), () => i));
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

/** An update with `states` variables, a gradient, and `rates` numbers; it has no output. */
function update(name: string, states: number, rates: number, loops: OpDef["loops"], attributes: OpCase["attributes"]): OpDef {
  const variable = { ...floats([37]), variable: true };
  // Squares that are averaged are not negative.
  const memory = { ...variable, low: 0.1, high: 2 };
  const inputs = [variable, ...Array.from({ length: states - 1 }, () => memory), floats([37]), ...(rates > 0 ? [floats([rates])] : [])];
  return {
    name,
    infer(types) {
      const w = typeAt(name, types, 0);
      const count = elementCount(w.shape);
      for (let i = 1; i <= states; i++)
        if (elementCount(typeAt(name, types, i).shape) !== count) refuse(name, "weights, memory and gradient differ in size");
      if (rates > 0 && elementCount(typeAt(name, types, states + 1).shape) !== rates) refuse(name, `${rates} rates are needed`);
      return [];
    },
    loops,
    cases: [{ name: "float", inputs, outputs: [], attributes }],
  };
}

/** Inputs: weights, velocity (both change), gradient, rate [1]. v ← momentum · v + g; w ← w − rate · v, or with Nesterov's look ahead. */
export const sgdUpdate = update("sgdUpdate", 2, 1, sgdLoops, { momentum: 0.9, nesterov: true, weightDecay: 0.01 });

/** Inputs: weights (change), gradient, rate [1]. w ← w − rate · g. */
export const descentUpdate = update("descentUpdate", 1, 1, descentLoops, { weightDecay: 0.01 });

/**
 * Kingma & Ba, ICLR 2015. Inputs: weights, mean, square (all change), gradient, and three rates: the learning rate, the same divided
 * by 1 − beta1^t, and 1 / √(1 − beta2^t).
 */
export const adamUpdate = update("adamUpdate", 3, 3, adamLoops, { beta1: 0.9, beta2: 0.999, epsilon: 1e-7, weightDecay: 0.01, decoupled: true });

/** Inputs: weights, square (both change), gradient, rate [1]. */
export const rmsPropUpdate = update("rmsPropUpdate", 2, 1, rmsPropLoops, { decay: 0.9, epsilon: 1e-7, weightDecay: 0 });

/** average ← decay · average + (1 − decay) · x. Inputs: the average (changes), x. */
export const movingAverage = update("movingAverage", 1, 0, emaLoops, { decay: 0.9 });
