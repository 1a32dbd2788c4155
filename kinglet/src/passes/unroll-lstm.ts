import { type Graph, GraphBuilder, type Node, type Value } from "../graph/index.ts";
import { applyOp, CELL_GATE, GATES, LSTM, type LstmAttributes } from "../ops/index.ts";

const PLAIN = { activation: "none" } as const;

/** The two states of a cell, [batch, units]. */
interface State {
  readonly hidden: Value;
  readonly cell: Value;
}

class Unrolling {
  private readonly b: GraphBuilder;
  private readonly node: Node;
  private readonly of: (value: Value) => Value;

  constructor(builder: GraphBuilder, node: Node, of: (value: Value) => Value) {
    [this.b, this.node, this.of] = [builder, node, of];
  }

  private one(
    op: string,
    name: string,
    inputs: readonly (Value | null)[],
    attributes: Record<string, number | string | boolean | number[]> = {},
  ): Value {
    return applyOp(this.b, op, inputs, attributes, `${this.node.name}/${name}`)[0]!;
  }

  private input(index: number): Value | null {
    const value = this.node.inputs[index] ?? null;
    return value === null ? null : this.of(value);
  }

  /** What the readings alone give to a gate in every step: one product for all. */
  private fromInputs(x: Value, axis: number): Value[][] {
    return GATES.map(({ name, inputWeights, bias }) => {
      const all = this.one("fullyConnected", `${name}_input`, [x, this.input(inputWeights), this.input(bias)], { ...PLAIN, keepDims: true });
      return applyOp(this.b, "unpack", [all], { axis }, `${this.node.name}/${name}_inputs`);
    });
  }

  private initial(index: number): Value {
    const state = this.node.inputs[index]!;
    const { batches, units } = this.sizes();
    const data = (state.initial as Float32Array | undefined) ?? new Float32Array(batches * units);
    return this.b.constant(`${state.name}/initial`, { dtype: "float32", shape: [batches, units] }, data);
  }

  private sizes(): { batches: number; units: number } {
    const { shape } = this.node.outputs[0]!;
    return { batches: shape[(this.node.attributes as unknown as LstmAttributes).timeMajor ? 1 : 0]!, units: shape[2]! };
  }

  private limited(cell: Value, clip: number, t: number): Value {
    if (clip === 0) return cell;
    const bound = (to: number): Value => this.b.constant(`${this.node.name}/clip_${t}`, { dtype: "float32", shape: [1] }, Float32Array.of(to));
    return this.one("maximum", `clipped_${t}`, [this.one("minimum", `below_${t}`, [cell, bound(clip)]), bound(-clip)]);
  }

  private step(t: number, fromInput: readonly Value[], { hidden, cell }: State, clip: number): State {
    const [input, forget, candidate, output] = GATES.map(({ name, recurrentWeights }, g) => {
      const recurrent = this.one("fullyConnected", `${name}_state_${t}`, [hidden, this.input(recurrentWeights), null], { ...PLAIN, keepDims: false });
      const sum = this.one("add", `${name}_sum_${t}`, [fromInput[g]!, recurrent], PLAIN);
      return this.one(g === CELL_GATE ? "tanh" : "logistic", `${name}_${t}`, [sum]);
    }) as [Value, Value, Value, Value];
    const kept = this.one("mul", `kept_${t}`, [forget, cell], PLAIN);
    const next = this.limited(this.one("add", `cell_${t}`, [kept, this.one("mul", `new_${t}`, [input, candidate], PLAIN)], PLAIN), clip, t);
    return { cell: next, hidden: this.one("mul", `hidden_${t}`, [output, this.one("tanh", `shown_${t}`, [next])], PLAIN) };
  }

  write(): Value {
    const { timeMajor, cellClip } = this.node.attributes as unknown as LstmAttributes;
    const axis = timeMajor ? 0 : 1;
    const inputs = this.fromInputs(this.input(LSTM.input)!, axis);
    let state: State = { hidden: this.initial(LSTM.outputState), cell: this.initial(LSTM.cellState) };
    const shown = inputs[0]!.map((_, t) => {
      state = this.step(
        t,
        inputs.map((gate) => gate[t]!),
        state,
        cellClip,
      );
      return state.hidden;
    });
    return this.one("pack", "sequence", shown, { axis });
  }
}

function isFloat(node: Node): boolean {
  return node.op === "lstm" && node.inputs.every((value) => value === null || value === undefined || value.dtype === "float32");
}

/**
 * Writes float LSTMs out step by step, for training: products, sums and functions of which each has a gradient. Each run starts from the
 * initial state, so nothing outlives a sequence any more. Results agree with the operator's within single precision.
 */
export function unrollLstm(graph: Graph): Graph {
  if (!graph.nodes.some(isFloat)) return graph;
  const builder = new GraphBuilder(graph.name);
  const now = new Map<number, Value>(graph.inputs.map((input) => [input.id, builder.input(input.name, input)]));
  const of = (value: Value): Value => {
    const known = now.get(value.id);
    if (known !== undefined) return known;
    const copied = value.variable === true ? builder.variable(value.name, value, value.initial) : builder.constant(value.name, value, value.data!);
    now.set(value.id, copied);
    return copied;
  };
  for (const node of graph.nodes) {
    if (isFloat(node)) {
      now.set(node.outputs[0]!.id, new Unrolling(builder, node, of).write());
      continue;
    }
    const outputs = node.outputs.map((value) => builder.value(value.name, value));
    builder.node(
      node.op,
      node.inputs.map((value) => (value === null ? null : of(value))),
      outputs,
      node.attributes,
      node.name,
    );
    node.outputs.forEach((value, i) => now.set(value.id, outputs[i]!));
  }
  for (const output of graph.outputs) builder.output(of(output));
  for (const [key, text] of Object.entries(graph.metadata)) builder.note(key, text);
  return builder.build();
}
