import { KingletError } from "../base/index.ts";
import { type Attributes, type Graph, GraphBuilder, type Node, type Value } from "../graph/index.ts";
import { applyOp, attributesOf, GATES, inputOf, LSTM, type LstmAttributes, lstmStep, type WriteNode } from "../ops/index.ts";

const STATES = [LSTM.outputState, LSTM.cellState] as const;

function isFloat(node: Node): boolean {
  return node.op === "lstm" && node.inputs.every((value) => value === null || value.dtype === "float32");
}

/** Writes one LSTM out step by step, under its own output. Each gate keeps the weights that it has, which training is to find. */
function unroll(builder: GraphBuilder, node: Node): void {
  const { timeMajor, cellClip } = attributesOf<LstmAttributes>(node);
  const axis = timeMajor ? 0 : 1;
  const apply = (op: string, name: string, inputs: readonly (Value | null)[], attributes: Attributes): Value[] =>
    applyOp(builder, op, inputs, attributes, `${node.name}_${name}`);
  const bound = (name: string, value: number): Value =>
    builder.constant(`${node.name}_${name}`, { dtype: "float32", shape: [1] }, Float32Array.of(value));
  const limits = cellClip > 0 ? ([bound("least", -cellClip), bound("most", cellClip)] as const) : undefined;
  // What comes from the readings alone is one product for all steps.
  const fromInput = GATES.map(({ name, inputWeights, bias }) => {
    const inputs = [inputOf(node, LSTM.input), inputOf(node, inputWeights), node.inputs[bias] ?? null];
    const all = apply("fullyConnected", `${name}_input`, inputs, { activation: "none", keepDims: true })[0]!;
    return apply("unpack", `${name}_inputs`, [all], { axis });
  });
  let state = { hidden: inputOf(node, LSTM.outputState), cell: inputOf(node, LSTM.cellState) };
  const shown = fromInput[0]!.map((_, t) => {
    const write: WriteNode = (op, name, inputs, attributes) => apply(op, `step_${t + 1}_${name}`, inputs, attributes)[0]!;
    const gates = GATES.map(({ name, recurrentWeights }, g) => {
      const inputs = [state.hidden, inputOf(node, recurrentWeights), null];
      const recurrent = apply("fullyConnected", `step_${t + 1}_${name}_recurrent`, inputs, { activation: "none", keepDims: false })[0]!;
      return write("add", `${name}_sum`, [fromInput[g]![t]!, recurrent], { activation: "none" });
    });
    state = lstmStep(write, gates, state.cell, limits);
    return state.hidden;
  });
  builder.node("pack", shown, node.outputs, { axis }, `${node.name}_sequence`);
}

/** A state's initial contents; those of 0 are one row, so that they suit any batch. */
function initialOf({ id, name, shape, initial }: Value): Value {
  const units = shape.at(-1)!;
  const data = (initial as Float32Array | undefined) ?? new Float32Array(units);
  return { id, name, dtype: "float32", shape: [data.length / units, units], data };
}

/** @throws KingletError `unsupported` where other nodes read the state. */
function checkStates(graph: Graph, states: ReadonlySet<number>): void {
  const readers = graph.nodes.flatMap((node) => node.inputs.filter((value) => value !== null && states.has(value.id)).map(() => node));
  const other = readers.find((node) => !isFloat(node));
  if (other !== undefined)
    throw new KingletError("unsupported", `${other.op} (node "${other.name}") reads the state of an LSTM, which is to be written out`);
}

/**
 * Writes float LSTMs out step by step, for training: products, sums and functions of which each has a gradient. Each run starts from the
 * initial state, so nothing outlives a sequence any more, and the batch is free. Results agree with the operator's within single precision.
 * All other values, the weights among them, keep their identity.
 */
export function unrollLstm(graph: Graph): Graph {
  const cells = graph.nodes.filter(isFloat);
  if (cells.length === 0) return graph;
  const states = new Set(cells.flatMap((node) => STATES.map((index) => inputOf(node, index).id)));
  checkStates(graph, states);
  const values = graph.values.map((value) => (states.has(value.id) ? initialOf(value) : value));
  const builder = GraphBuilder.from({ ...graph, values, nodes: [] });
  for (const node of graph.nodes) {
    if (isFloat(node)) unroll(builder, { ...node, inputs: node.inputs.map((value) => value && values[value.id]!) });
    else builder.node(node.op, node.inputs, node.outputs, node.attributes, node.name);
  }
  return builder.build();
}
