import { elementCount } from "../../../base/index.ts";
import type { Node } from "../../../graph/index.ts";
import { type Expr, type KernelBuilder, type KernelInstance, vector } from "../../../loops/index.ts";
import { type AdamAttributes, attributesOf, inputOf, type Schedule, type SgdAttributes } from "../../../ops/index.ts";
import { add, div, everywhere, LANES, load, mul, sqrt, store, sub } from "./vectors.ts";

/** A learning rate in every lane. */
function rateOf(k: KernelBuilder, name: string, rate: Expr): Expr {
  return k.let(name, vector("f32x4.splat", [rate]));
}

function eachVector(k: KernelBuilder, node: Node, body: (i: Expr) => void): void {
  k.parallelFor("i", 0, k.int("count", elementCount(inputOf(node, 0).shape)), body, LANES);
}

function sgdKernel(k: KernelBuilder, node: Node): KernelInstance {
  const { momentum, nesterov, weightDecay } = attributesOf<SgdAttributes>(node);
  const [w, velocity] = [k.input(0, "w", true), k.input(1, "velocity", true)];
  const [g, rate] = [k.input(2, "g"), k.input(3, "rate")];
  const step = rateOf(k, "step", rate.load(0));
  eachVector(k, node, (i) => {
    const weight = k.let("weight", load(w, i));
    const gradient = k.let("gradient", weightDecay === 0 ? load(g, i) : add(load(g, i), mul(weight, everywhere(k, "weight_decay", weightDecay))));
    const v = k.let("v", add(mul(load(velocity, i), everywhere(k, "momentum", momentum)), gradient));
    store(k, velocity, i, v);
    const moved = nesterov ? add(gradient, mul(v, everywhere(k, "momentum", momentum))) : v;
    store(k, w, i, sub(weight, mul(step, moved)));
  });
  return k.finish("sgd_update_f32_simd", "A step of stochastic gradient descent with momentum, four weights at a time.");
}

function descentKernel(k: KernelBuilder, node: Node): KernelInstance {
  const { weightDecay } = attributesOf<Pick<SgdAttributes, "weightDecay">>(node);
  const [w, g, rate] = [k.input(0, "w", true), k.input(1, "g"), k.input(2, "rate")];
  const step = rateOf(k, "step", rate.load(0));
  eachVector(k, node, (i) => {
    const weight = k.let("weight", load(w, i));
    const gradient = weightDecay === 0 ? load(g, i) : add(load(g, i), mul(weight, everywhere(k, "weight_decay", weightDecay)));
    store(k, w, i, sub(weight, mul(step, gradient)));
  });
  return k.finish("descent_update_f32_simd", "A step of gradient descent, four weights at a time.");
}

function adamKernel(k: KernelBuilder, node: Node): KernelInstance {
  const { beta1, beta2, epsilon, weightDecay, decoupled } = attributesOf<AdamAttributes>(node);
  const [w, mean, square] = [k.input(0, "w", true), k.input(1, "mean", true), k.input(2, "square", true)];
  const [g, rates] = [k.input(3, "g"), k.input(4, "rates")];
  const [step, root] = [rateOf(k, "step", rates.load(1)), rateOf(k, "root", rates.load(2))];
  const decay = everywhere(k, "weight_decay", weightDecay);
  const shrink = decoupled && weightDecay !== 0 ? k.let("shrink", mul(rateOf(k, "rate", rates.load(0)), decay)) : null;
  eachVector(k, node, (i) => {
    const weight = k.let("weight", load(w, i));
    const gradient = k.let("gradient", decoupled || weightDecay === 0 ? load(g, i) : add(load(g, i), mul(weight, decay)));
    const m = k.let("m", add(mul(load(mean, i), everywhere(k, "beta1", beta1)), mul(gradient, everywhere(k, "rest1", 1 - beta1))));
    const squared = mul(mul(gradient, gradient), everywhere(k, "rest2", 1 - beta2));
    const v = k.let("v", add(mul(load(square, i), everywhere(k, "beta2", beta2)), squared));
    store(k, mean, i, m);
    store(k, square, i, v);
    const moved = sub(weight, div(mul(step, m), add(mul(sqrt(v), root), everywhere(k, "epsilon", epsilon))));
    store(k, w, i, shrink === null ? moved : sub(moved, mul(shrink, weight)));
  });
  return k.finish("adam_update_f32_simd", "A step of Adam, four weights at a time.");
}

/** Whole vectors only: the memory of a parameter ends where the next one's may begin. */
function inVectors(kernel: (k: KernelBuilder, node: Node) => KernelInstance): Schedule {
  return (node) => (elementCount(inputOf(node, 0).shape) % LANES === 0 ? (k) => kernel(k, node) : undefined);
}

export const sgdSchedule: Schedule = inVectors(sgdKernel);
export const descentSchedule: Schedule = inVectors(descentKernel);
export const adamSchedule: Schedule = inVectors(adamKernel);
