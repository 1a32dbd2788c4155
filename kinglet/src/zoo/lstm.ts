import type { Graph } from "../graph/index.ts";
import { lstmStep, type WriteNode } from "../ops/index.ts";
import { gateWeights, type RecurrentOptions, recurrentSizes } from "./recurrent.ts";
import { TrainableLayers } from "./trainable-layers.ts";

/**
 * Long short-term memory over a whole sequence, unrolled with shared weights: [n, length, features] to [n, classes] from the last state.
 * Every sequence starts from nothing. The forget gate starts open, with a bias of 1 (Gers et al. 2000).
 */
export function lstm(options: RecurrentOptions = {}): Graph {
  const { length, units, inputShape, classes } = recurrentSizes(options);
  const net = new TrainableLayers("lstm", options);
  const sequence = net.input("sequence", inputShape);
  const weights = gateWeights(net, "input", 4, inputShape[2]!, units);
  const recurrent = gateWeights(net, "recurrent", 4, units, units);
  const bias = net.filled("bias", [4 * units], (i) => (Math.floor(i / units) === 1 ? 1 : 0));
  // What comes from the readings alone is one product for all steps.
  const projected = net.apply("fullyConnected", "input", [sequence, weights, bias], { activation: "none", keepDims: true });
  const nothing = net.filled("initial", [1, units], 0);
  let state = { hidden: nothing, cell: nothing };
  net.applyAll("unpack", "steps", [projected], { axis: 1 }).forEach((x, t) => {
    const write: WriteNode = (op, name, inputs, attributes) => net.apply(op, `step_${t + 1}_${name}`, inputs, attributes);
    const fromState = net.apply("fullyConnected", `step_${t + 1}_recurrent`, [state.hidden, recurrent, null], {
      activation: "none",
      keepDims: false,
    });
    const sums = write("add", "sums", [x, fromState], { activation: "none" });
    const gates = net.applyAll("split", `step_${t + 1}_gates`, [sums], { axis: 1, sizes: [units, units, units, units] });
    state = lstmStep(write, gates, state.cell);
  });
  return net.build(net.logits(state.hidden, classes), `An LSTM of ${units} units over ${length} steps.`);
}
