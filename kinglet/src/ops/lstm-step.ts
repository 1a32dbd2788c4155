import type { Attributes, Value } from "../graph/index.ts";

/** Adds a node to a graph that is being written and gives its output. */
export type WriteNode = (op: string, name: string, inputs: readonly Value[], attributes: Attributes) => Value;

/** What an LSTM remembers, [n, units] each; a single row suits any n. */
export interface LstmState {
  readonly hidden: Value;
  readonly cell: Value;
}

const PLAIN = { activation: "none" } as const;

/**
 * The end of one step of a float LSTM (Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al. 2000), as nodes that have
 * gradients.
 * @param gates the complete sums of the gates in the order of `GATES`: input, forget, cell, output; [n, units] each.
 * @param limits the lowest and the highest cell state, if there are any.
 */
export function lstmStep(write: WriteNode, gates: readonly Value[], cell: Value, limits?: readonly [Value, Value]): LstmState {
  const [input, forget, output] = [0, 1, 3].map((g) => write("logistic", `gate_${g}`, [gates[g]!], {})) as [Value, Value, Value];
  const candidate = write("tanh", "candidate", [gates[2]!], {});
  const kept = write("mul", "kept", [forget, cell], PLAIN);
  const free = write("add", "cell", [kept, write("mul", "taken", [input, candidate], PLAIN)], PLAIN);
  const next = limits === undefined ? free : write("minimum", "below", [write("maximum", "above", [free, limits[0]], {}), limits[1]], {});
  return { cell: next, hidden: write("mul", "hidden", [output, write("tanh", "shown", [next], {})], PLAIN) };
}
