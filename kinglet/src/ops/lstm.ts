import { type DType, elementCount, KingletError } from "../base/index.ts";
import type { Node, Value, ValueType } from "../graph/index.ts";
import { type Buffer, constant, type Expr, type KernelBuilder, type KernelInstance } from "../loops/index.ts";
import { typed } from "./elementwise.ts";
import { logisticFloat, tanhFloat } from "./float-math.ts";
import { integerRule } from "./lstm-integer.ts";
import { CELL_GATE, type CellRule, EXTRAS, GATES, LSTM, type LstmAttributes } from "./lstm-layout.ts";
import {
  attributesOf,
  badNode,
  type CaseInput,
  inputOf,
  type OpCase,
  type OpDef,
  outputOf,
  refuse,
  suffixOf,
  typeAt,
  unsupportedTypes,
} from "./op.ts";

const NAME = "lstm";

/** Both sums of a gate are complete before they are added; the first bias comes last in its sum. */
function floatRule(k: KernelBuilder, a: LstmAttributes): CellRule {
  return {
    sum: "f32",
    fromInput: (value) => value,
    fromState: (value) => value,
    gate: (gate, input, recurrent) => k.let("gate", k.call(gate === CELL_GATE ? tanhFloat : logisticFloat, input.add(recurrent))),
    cell: (old, forget, input, candidate) => {
      const next = k.let("next", forget.mul(old).add(input.mul(candidate)));
      return a.cellClip > 0 ? k.let("clipped", next.min(k.float("clip", a.cellClip)).max(k.float("low_clip", -a.cellClip))) : next;
    },
    hidden: (output, cell) => k.call(tanhFloat, cell).mul(output),
  };
}

function unsupported(node: Node, what: string): KingletError {
  return new KingletError("unsupported", `the lstm node "${node.name}" has ${what}, for which there is no rule`);
}

function checkForm(node: Node, a: LstmAttributes): void {
  for (const { what, inputs } of EXTRAS) {
    if (inputs.some((index) => node.inputs[index] !== undefined && node.inputs[index] !== null)) throw unsupported(node, what);
  }
  if (node.inputs[1] === null || node.inputs[5] === null) throw unsupported(node, "no input gate of its own");
  if (a.activation !== "tanh") throw unsupported(node, `the activation ${a.activation}`);
  for (const index of [LSTM.outputState, LSTM.cellState]) {
    if (inputOf(node, index).variable !== true) throw badNode(node, `needs a variable as input ${index}`);
  }
}

function ruleOf(k: KernelBuilder, node: Node, a: LstmAttributes): CellRule {
  const activations = [inputOf(node, LSTM.input), inputOf(node, LSTM.outputState), outputOf(node)].map((value) => value.dtype);
  const weights = GATES.flatMap((gate) => [inputOf(node, gate.inputWeights), inputOf(node, gate.recurrentWeights)]).map((value) => value.dtype);
  const biases = GATES.flatMap((gate) => node.inputs[gate.bias]?.dtype ?? []);
  const cell = inputOf(node, LSTM.cellState).dtype;
  const all = (types: readonly DType[], dtype: DType): boolean => types.every((type) => type === dtype);
  if (all([...activations, ...weights, ...biases, cell], "float32")) return floatRule(k, a);
  const bytes = all(activations, "int8") && all(biases, "int32");
  const shorts = all(activations, "int16") && all(biases, "int64");
  if ((bytes || shorts) && all(weights, "int8") && cell === "int16") return integerRule(k, node, a);
  throw unsupportedTypes(node);
}

interface GateBuffers {
  readonly inputWeights: Buffer;
  readonly recurrentWeights: Buffer;
  readonly bias: Buffer | undefined;
}

/** The sums of all gates of one unit over one vector, from zero. */
function gateSums(
  k: KernelBuilder,
  rule: CellRule,
  weights: readonly Buffer[],
  length: Expr,
  row: Expr,
  factor: (i: Expr) => Expr,
  starts: readonly Expr[],
): Expr[] {
  const sums = weights.map((_, g) => k.variable(`sum_${GATES[g]!.name}`, starts[g]!));
  k.for("i", 0, length, (i) => {
    const value = k.let("value", factor(i));
    const tap = k.let("tap", row.mul(length).add(i));
    sums.forEach((sum, g) => sum.set(sum.get().add(value.mul(weights[g]!.load(tap)).to(rule.sum))));
  });
  return sums.map((sum) => sum.get());
}

function lstmLoops(k: KernelBuilder, node: Node): KernelInstance {
  const a = attributesOf<LstmAttributes>(node);
  checkForm(node, a);
  const x = inputOf(node, LSTM.input);
  const input = k.input(LSTM.input, "x");
  const gates: GateBuffers[] = GATES.map((gate) => ({
    inputWeights: k.input(gate.inputWeights, `w_${gate.name}`),
    recurrentWeights: k.input(gate.recurrentWeights, `r_${gate.name}`),
    bias: k.hasInput(gate.bias) ? k.input(gate.bias, `b_${gate.name}`) : undefined,
  }));
  const hidden = k.input(LSTM.outputState, "state", true);
  const cell = k.input(LSTM.cellState, "cell", true);
  const output = k.output(0, "y");
  const rule = ruleOf(k, node, a);
  const { steps, batches } = timing(x, a);
  const [width, units] = [k.int("inputs", x.shape[2]!), k.int("units", outputOf(node).shape[2]!)];
  const [stepCount, batchCount] = [k.int("steps", steps), k.int("batches", batches)];
  const zero = constant(0, rule.sum);
  const unit = (u: Expr, from: Expr, to: Expr, state: Expr): void => {
    const floats = rule.sum === "f32";
    const starts = gates.map((gate) => (floats || gate.bias === undefined ? zero : gate.bias.load(u).to(rule.sum)));
    const inputSums = gateSums(
      k,
      rule,
      gates.map((gate) => gate.inputWeights),
      width,
      u,
      (i) => rule.fromInput(input.load(from.add(i))),
      starts,
    );
    const stateSums = gateSums(
      k,
      rule,
      gates.map((gate) => gate.recurrentWeights),
      units,
      u,
      (i) => rule.fromState(hidden.load(state.add(i))),
      gates.map(() => zero),
    );
    const values = gates.map((gate, g) => {
      const biased = floats && gate.bias !== undefined ? inputSums[g]!.add(gate.bias.load(u)) : inputSums[g]!;
      return rule.gate(g, k.let("from_input", biased), k.let("from_state", stateSums[g]!));
    });
    const next = rule.cell(k.let("old", cell.load(state.add(u))), values[1]!, values[0]!, values[CELL_GATE]!);
    cell.store(state.add(u), next);
    output.store(to.add(u), rule.hidden(values[3]!, next));
  };
  k.for("t", 0, stepCount, (t) =>
    k.for("b", 0, batchCount, (b) => {
      const vector = k.let("vector", a.timeMajor ? t.mul(batchCount).add(b) : b.mul(stepCount).add(t));
      const from = k.let("from", vector.mul(width));
      const to = k.let("to", vector.mul(units));
      const state = k.let("state_at", b.mul(units));
      k.for("u", 0, units, (u) => unit(u, from, to, state));
      // All units read the old output state, so it changes only now.
      k.copy(hidden, state, output, to, units);
    }),
  );
  return k.finish(`lstm_${suffixOf(x.dtype)}`, "Long short-term memory over a sequence; output and cell state outlive the run.");
}

function timing(x: ValueType, a: LstmAttributes): { steps: number; batches: number } {
  const [first, second] = x.shape as [number, number];
  return a.timeMajor ? { steps: first, batches: second } : { steps: second, batches: first };
}

function checkShapes(inputs: readonly (ValueType | null)[], a: LstmAttributes, units: number): void {
  const x = typeAt(NAME, inputs, LSTM.input, 3);
  const expect = (index: number, shape: readonly number[]): void => {
    const value = inputs[index];
    if (value && elementCount(value.shape) !== elementCount(shape))
      refuse(NAME, `input ${index} must be [${shape.join(",")}], not [${value.shape.join(",")}]`);
  };
  for (const gate of GATES) {
    expect(gate.inputWeights, [units, x.shape[2]!]);
    expect(gate.recurrentWeights, [units, units]);
    expect(gate.bias, [units]);
  }
  typeAt(NAME, inputs, LSTM.cellState);
  const { batches } = timing(x, a);
  expect(LSTM.outputState, [batches, units]);
  expect(LSTM.cellState, [batches, units]);
}

/** Width of the output: that of a projection where there is one, else the number of cells. */
function infer(inputs: readonly (ValueType | null)[], a: LstmAttributes): number[] {
  const x = typeAt(NAME, inputs, LSTM.input, 3);
  const state = typeAt(NAME, inputs, LSTM.outputState);
  const width = state.shape[state.shape.length - 1] ?? 1;
  if (!EXTRAS.some((extra) => extra.inputs.some((index) => inputs[index]))) checkShapes(inputs, a, width);
  return [x.shape[0]!, x.shape[1]!, width];
}

interface CaseSizes {
  readonly steps: number;
  readonly batches: number;
  readonly width: number;
  readonly units: number;
}

function lstmCase(name: string, kind: "float32" | "int8" | "int16", s: CaseSizes, timeMajor: boolean, cellClip: number): OpCase {
  const weight = (shape: number[], g: number): CaseInput =>
    kind === "float32"
      ? { ...typed("float32", shape), constant: true, low: -1, high: 1 }
      : { ...typed("int8", shape, 0.005 + 0.001 * g), constant: true };
  const bias: CaseInput =
    kind === "float32"
      ? { ...typed("float32", [s.units]), constant: true }
      : { ...typed(kind === "int8" ? "int32" : "int64", [s.units]), constant: true, low: -900, high: 900 };
  const stateScale = kind === "int8" ? 1 / 128 : 2 ** -15;
  const sequence = (width: number, scale: number, zeroPoint: number): CaseInput =>
    typed(
      kind,
      timeMajor ? [s.steps, s.batches, width] : [s.batches, s.steps, width],
      kind === "float32" ? undefined : scale,
      kind === "int8" ? zeroPoint : 0,
    );
  const state: CaseInput = {
    ...typed(kind, [s.batches, s.units], kind === "float32" ? undefined : stateScale, kind === "int8" ? 3 : 0),
    variable: true,
  };
  const cell: CaseInput = {
    ...(kind === "float32" ? typed(kind, [s.batches, s.units]) : typed("int16", [s.batches, s.units], 2 ** -11)),
    variable: true,
  };
  const inputs: (CaseInput | null)[] = Array.from({ length: 24 }, () => null);
  inputs[LSTM.input] = sequence(s.width, kind === "int8" ? 0.02 : 0.0001, -5);
  GATES.forEach((gate, g) => {
    inputs[gate.inputWeights] = weight([s.units, s.width], g);
    inputs[gate.recurrentWeights] = weight([s.units, s.units], g + 1);
    inputs[gate.bias] = bias;
  });
  inputs[LSTM.outputState] = state;
  inputs[LSTM.cellState] = cell;
  const attributes = { activation: "tanh", cellClip, projClip: 0, timeMajor, intermediateScales: [], intermediateZeroPoints: [] };
  return { name, attributes, inputs, outputs: [sequence(s.units, stateScale, 3)] };
}

const SIZES: CaseSizes = { steps: 4, batches: 2, width: 5, units: 6 };

function macsOf(node: Node): number {
  const x: Value = inputOf(node, LSTM.input);
  const units = outputOf(node).shape[2]!;
  return x.shape[0]! * x.shape[1]! * 4 * units * (x.shape[2]! + units);
}

export const lstm: OpDef = {
  name: NAME,
  infer(inputs, attributes) {
    return [{ dtype: typeAt(NAME, inputs, LSTM.input).dtype, shape: infer(inputs, attributesOf<LstmAttributes>({ attributes })) }];
  },
  loops: lstmLoops,
  parameters: GATES.flatMap((gate) => [gate.inputWeights, gate.recurrentWeights, gate.bias]),
  macs: macsOf,
  cases: [
    lstmCase("int8", "int8", SIZES, false, 0),
    lstmCase("int8, time first, clipped", "int8", SIZES, true, 2.5),
    lstmCase("16-bit activations", "int16", SIZES, false, 0),
    lstmCase("float", "float32", SIZES, true, 0.8),
    lstmCase("float, batch first", "float32", SIZES, false, 0),
  ],
};
