import type { Expr, ScalarType } from "../loops/index.ts";
import type { Activation } from "./quantization.ts";

export interface LstmAttributes {
  /** The function of the cell gate. */
  readonly activation: Activation;
  /** The cell state stays within ± this; 0 is no clip. */
  readonly cellClip: number;
  readonly projClip: number;
  /** [time, batch, feature] instead of [batch, time, feature]. */
  readonly timeMajor: boolean;
  readonly intermediateScales: readonly number[];
  readonly intermediateZeroPoints: readonly number[];
}

/** Places among the 24 inputs of TensorFlow Lite's UNIDIRECTIONAL_SEQUENCE_LSTM. */
export const LSTM = { input: 0, outputState: 18, cellState: 19 } as const;

/** Peephole weights, projection and its bias, layer normalization: forms that have no rule here. */
export const EXTRAS: readonly { readonly what: string; readonly inputs: readonly number[] }[] = [
  { what: "peephole connections", inputs: [9, 10, 11] },
  { what: "a projection", inputs: [16, 17] },
  { what: "layer normalization", inputs: [20, 21, 22, 23] },
];

export interface GateInputs {
  readonly name: string;
  readonly inputWeights: number;
  readonly recurrentWeights: number;
  readonly bias: number;
}

export const GATES: readonly GateInputs[] = [
  { name: "input", inputWeights: 1, recurrentWeights: 5, bias: 12 },
  { name: "forget", inputWeights: 2, recurrentWeights: 6, bias: 13 },
  { name: "cell", inputWeights: 3, recurrentWeights: 7, bias: 14 },
  { name: "output", inputWeights: 4, recurrentWeights: 8, bias: 15 },
];

export const CELL_GATE = 2;

/** What an element type does at each point of the cell. */
export interface CellRule {
  readonly sum: ScalarType;
  /** An element of the input (of the output state) as a factor of the sums. */
  fromInput(value: Expr): Expr;
  fromState(value: Expr): Expr;
  /** A gate from its two sums; the first starts from the bias. */
  gate(gate: number, input: Expr, recurrent: Expr): Expr;
  /** The next cell state. */
  cell(old: Expr, forget: Expr, input: Expr, candidate: Expr): Expr;
  /** The next output state, as stored. */
  hidden(output: Expr, cell: Expr): Expr;
}
