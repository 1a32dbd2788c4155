import type { Node } from "../graph/index.ts";
import { type Expr, i32, type KernelBuilder } from "../loops/index.ts";
import { scaleOf, zeroPointOf } from "./elementwise.ts";
import { reducedMultiplier, requantize, requantize64 } from "./fixed.ts";
import { CELL_GATE, type CellRule, GATES, LSTM, type LstmAttributes } from "./lstm-layout.ts";
import { badNode, inputOf } from "./op.ts";
import { type Multiplier, quantizeMultiplier, rangeOfDType } from "./quantization.ts";
import { shortLogistic, shortTanh, sigmoidTable } from "./sigmoid-table.ts";

/** Sums before a gate's function lie in Q3.12, what comes out of it in Q0.15. */
const SUM_SCALE = 2 ** -12;
const GATE_SCALE = 2 ** -15;

function clampShort(x: Expr): Expr {
  return x.clamp(-32768, 32767);
}

/** Brings a cell state of scale 2^power (rounded to a whole power) to the argument of `shortTanh`. */
function tanhArgument(scale: number): { multiplier: number; half: number; shift: number } {
  const left = 12 + Math.round(Math.log2(scale));
  return left >= 0 ? { multiplier: 3 * 2 ** left, half: 0, shift: 0 } : { multiplier: 3, half: 2 ** (-left - 1), shift: -left };
}

/** Factors of the input and the recurrent sums of each gate, formed from products in single precision. */
function gateFactors(node: Node): Multiplier[] {
  const factor = (values: number, weights: number): Multiplier =>
    quantizeMultiplier(Math.fround(scaleOf(node, inputOf(node, values)) * scaleOf(node, inputOf(node, weights))) / SUM_SCALE);
  return GATES.flatMap((gate) => [factor(LSTM.input, gate.inputWeights), factor(LSTM.outputState, gate.recurrentWeights)]);
}

/** Forget · cell, input · candidate, and output · tanh(cell). */
function productFactors(node: Node): Multiplier[] {
  const cell = scaleOf(node, inputOf(node, LSTM.cellState));
  const hidden = scaleOf(node, inputOf(node, LSTM.outputState));
  return [(GATE_SCALE * cell) / cell, (GATE_SCALE * GATE_SCALE) / cell, (GATE_SCALE * GATE_SCALE) / hidden].map(quantizeMultiplier);
}

function checkWeights(node: Node): void {
  for (const index of GATES.flatMap((gate) => [gate.inputWeights, gate.recurrentWeights])) {
    const quantization = inputOf(node, index).quantization;
    if (quantization === undefined || quantization.scales.length !== 1 || quantization.zeroPoints[0] !== 0)
      throw badNode(node, "needs weights with one scale each and no zero point");
  }
}

/**
 * The integer cell with 16-bit cell state as TensorFlow Lite Micro runs it: both sums of a gate are rescaled to
 * 16 bits and saturated before they are added. 16-bit activations sum in 64 bits.
 */
export function integerRule(k: KernelBuilder, node: Node, a: LstmAttributes): CellRule {
  checkWeights(node);
  const [x, hidden, cell] = [inputOf(node, LSTM.input), inputOf(node, LSTM.outputState), inputOf(node, LSTM.cellState)];
  const wide = x.dtype === "int16";
  const [gates, products] = [gateFactors(node), productFactors(node)];
  const factors = [...gates.map((m) => (wide ? reducedMultiplier(m.multiplier) : m.multiplier)), ...products.map((m) => m.multiplier)];
  const multipliers = k.constant("multiplier", "i32", Int32Array.from(factors));
  const shifts = k.constant(
    "shift",
    "i8",
    Int8Array.from([...gates, ...products], (m) => m.shift),
  );
  const table = k.constant("sigmoid", "u16", sigmoidTable());
  const rescale = (value: Expr, at: number): Expr =>
    k.call(value.type === "i64" ? requantize64 : requantize, value, multipliers.load(at), shifts.load(at));
  const product = (left: Expr, right: Expr, at: number): Expr => rescale(left.mul(right), 2 * GATES.length + at);
  const argument = tanhArgument(scaleOf(node, cell));
  const clip = Math.trunc(Math.min(32767, Math.fround(a.cellClip) / scaleOf(node, cell)));
  const range = rangeOfDType(hidden.dtype);
  return {
    sum: wide ? "i64" : "i32",
    fromInput: (value) => value.sub(k.int("zero_point", zeroPointOf(node, x))),
    fromState: (value) => value.sub(k.int("state_zero_point", zeroPointOf(node, hidden))),
    gate: (gate, input, recurrent) => {
      const both = k.let("both", clampShort(clampShort(rescale(input, 2 * gate)).add(clampShort(rescale(recurrent, 2 * gate + 1)))));
      const tripled = k.let("tripled", both.mul(3));
      return gate === CELL_GATE ? k.let("bent", shortTanh(k, table, tripled)) : k.let("gate", shortLogistic(k, table, tripled));
    },
    cell: (old, forget, input, candidate) => {
      const kept = clampShort(product(forget, old, 0));
      const next = k.let("next", clampShort(kept.add(clampShort(product(input, candidate, 1)))));
      return a.cellClip > 0 ? k.let("clipped", next.clamp(i32(0).sub(k.int("clip", clip)), k.int("clip", clip))) : next;
    },
    hidden: (output, state) => {
      const scaled = state
        .mul(k.int("tanh_multiplier", argument.multiplier))
        .add(k.int("tanh_half", argument.half))
        .shr(k.int("tanh_shift", argument.shift));
      const value = product(shortTanh(k, table, k.let("argument", scaled)), output, 2);
      return value.add(k.int("state_zero_point", zeroPointOf(node, hidden))).clamp(range.low, range.high);
    },
  };
}
