import type { Attributes, Node, ValueType } from "../../graph/index.ts";
import { attributesOf } from "../../ops/index.ts";
import { LSTM, SVDF } from "./options.ts";
import { attributesFrom, type OperatorRows, row } from "./row.ts";
import type { Site } from "./site.ts";

interface Intermediates {
  readonly intermediateScales: readonly number[];
  readonly intermediateZeroPoints: readonly number[];
}

/** The quantized cell rescales to the types of tensors that no operator produces: only their scales matter. */
function intermediatesOf(site: Site): Attributes {
  return {
    intermediateScales: site.intermediates.map((tensor) => tensor?.quantization?.scales[0] ?? 0),
    intermediateZeroPoints: site.intermediates.map((tensor) => tensor?.quantization?.zeroPoints[0] ?? 0),
  };
}

/** Tensors without a scale are placeholders, which converters write as floats; the gates' sums have 16 bits, the hidden state 8. */
function intermediateTypes(node: Node): ValueType[] {
  const { intermediateScales, intermediateZeroPoints } = attributesOf<Intermediates>(node);
  return intermediateScales.map((scale, i): ValueType => {
    if (scale === 0) return { dtype: "float32", shape: [] };
    const quantization = { scales: [scale], zeroPoints: [intermediateZeroPoints[i]!], axis: 0 };
    return { dtype: i === intermediateScales.length - 1 ? "int8" : "int16", shape: [], quantization };
  });
}

/** Layers that carry state from one step to the next. */
export const RECURRENT_ROWS: OperatorRows = {
  SVDF: row("svdf", "xxx?x", { options: SVDF, read: (_site, options) => attributesFrom(options) }),
  // input, 4 input weights, 4 recurrent weights, 3 peepholes, 4 biases, projection and its bias, 2 states, 4 norms
  UNIDIRECTIONAL_SEQUENCE_LSTM: row("lstm", "x?xxx?xxx????xxx??xx????", {
    options: LSTM,
    least: 20,
    read(site, { diagonalRecurrent, ...rest }) {
      if (diagonalRecurrent) site.unsupported("the recurrent weights are diagonal", "Export the LSTM with full recurrent matrices.");
      return { ...attributesFrom(rest), ...intermediatesOf(site) };
    },
    write: (node) => ({ intermediates: intermediateTypes(node) }),
  }),
};
