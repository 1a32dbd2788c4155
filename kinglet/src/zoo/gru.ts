import type { Graph, Value } from "../graph/index.ts";
import { gateWeights, type RecurrentOptions, recurrentSizes } from "./recurrent.ts";
import { TrainableLayers } from "./trainable-layers.ts";

/** Weights and biases from something to the three gates: update, reset, candidate. */
interface Gates {
  readonly weights: Value;
  readonly bias: Value;
}

function gates(net: TrainableLayers, name: string, fanIn: number, units: number): Gates {
  return { weights: gateWeights(net, name, 3, fanIn, units), bias: net.filled(`${name}_bias`, [3 * units], 0) };
}

/** Rows of three gates each as three values. */
function thirds(net: TrainableLayers, name: string, x: Value, units: number): [Value, Value, Value] {
  return net.applyAll("split", name, [x], { axis: 1, sizes: [units, units, units] }) as [Value, Value, Value];
}

/**
 * One step: update z = σ(xz + hz), reset r = σ(xr + hr), candidate c = tanh(xc + r · hc), and h' = c + z · (h − c). Resetting
 * after the product lets one matrix do for all gates.
 */
function step(net: TrainableLayers, name: string, x: Value, h: Value, recurrent: Gates): Value {
  const units = h.shape[1]!;
  const plain = { activation: "none" } as const;
  const binary = (op: "add" | "sub" | "mul", what: string, a: Value, b: Value): Value => net.apply(op, `${name}_${what}`, [a, b], plain);
  const fromHidden = net.apply("fullyConnected", `${name}_recurrent`, [h, recurrent.weights, recurrent.bias], { ...plain, keepDims: false });
  const [xz, xr, xc] = thirds(net, `${name}_x`, x, units);
  const [hz, hr, hc] = thirds(net, `${name}_h`, fromHidden, units);
  const update = net.apply("logistic", `${name}_update`, [binary("add", "update_sum", xz, hz)]);
  const reset = net.apply("logistic", `${name}_reset`, [binary("add", "reset_sum", xr, hr)]);
  const candidate = net.apply("tanh", `${name}_candidate`, [binary("add", "candidate_sum", xc, binary("mul", "remembered", reset, hc))]);
  return binary("add", "state", candidate, binary("mul", "kept", update, binary("sub", "difference", h, candidate)));
}

/**
 * A gated recurrent unit (Cho et al., arXiv 1406.1078) over a whole sequence, unrolled with shared weights: [n, length, features] to
 * [n, classes] from the last state.
 */
export function gru(options: RecurrentOptions = {}): Graph {
  const { length, units, inputShape, classes } = recurrentSizes(options);
  const net = new TrainableLayers("gru", options);
  const sequence = net.input("sequence", inputShape);
  const [input, recurrent] = [gates(net, "input", inputShape[2], units), gates(net, "recurrent", units, units)];
  // What comes from the readings alone is one product for all steps.
  const projected = net.apply("fullyConnected", "input", [sequence, input.weights, input.bias], { activation: "none", keepDims: true });
  let h = net.filled("initial", [1, units], 0);
  net.applyAll("unpack", "steps", [projected], { axis: 1 }).forEach((x, t) => {
    h = step(net, `step_${t + 1}`, x, h, recurrent);
  });
  return net.build(net.logits(h, classes), `A GRU of ${units} units over ${length} steps.`);
}
