import type { Attributes } from "../../graph/index.ts";
import { activation, type OperatorRows, row, type Site } from "./site.ts";

function svdf(site: Site): Attributes {
  return { rank: site.positive(site.options.int(0), "the rank"), activation: activation(site, 1) };
}

/** The quantized cell rescales to the types of tensors that no operator produces: only their scales matter. */
function lstm(site: Site): Attributes {
  if (site.options.bool(5)) site.unsupported("the recurrent weights are diagonal", "Export the LSTM with full recurrent matrices.");
  return {
    activation: activation(site, 0),
    cellClip: site.options.float(1),
    projClip: site.options.float(2),
    timeMajor: site.options.bool(3),
    intermediateScales: site.intermediates.map((tensor) => tensor?.quantization?.scales[0] ?? 0),
    intermediateZeroPoints: site.intermediates.map((tensor) => tensor?.quantization?.zeroPoints[0] ?? 0),
  };
}

/** Layers that carry state from one step to the next. */
export const RECURRENT_ROWS: OperatorRows = {
  SVDF: row("svdf", "xxx?x", svdf),
  // input, 4 input weights, 4 recurrent weights, 3 peepholes, 4 biases, projection and its bias, 2 states, 4 norms
  UNIDIRECTIONAL_SEQUENCE_LSTM: row("lstm", "x?xxx?xxx????xxx??xx????", lstm),
};
