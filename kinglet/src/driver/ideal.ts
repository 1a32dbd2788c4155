import { elementCount } from "../base/index.ts";
import { type Core, type CoreId, coreById } from "../boards/browser.ts";
import type { Node } from "../graph/index.ts";
import { findOp } from "../ops/index.ts";

/**
 * The fewest instructions that the best known int8 kernels could do with on a kind of core: what the arithmetic itself takes when
 * its operands are where it wants them, without loop counters, spills and addresses. Nothing here is measured; a clever
 * algorithm (Winograd's) may need less.
 */
interface Ideal {
  /** Per multiply-accumulate of a convolution or a product of matrices. */
  readonly conv: number;
  /** Per multiply-accumulate of a layer whose weights are used once. */
  readonly dense: number;
  /** Per multiply-accumulate of a depthwise layer. */
  readonly depthwise: number;
  /** Per output: to an int8 number that a clamp at its lowest value (ReLU) may take part in, and in general. The store is counted. */
  readonly finishRelu: number;
  readonly finish: number;
  /** Per input of a convolution: bringing it into the form that the inner step reads. */
  readonly pack: number;
  /** Per element of a sum, and per input of an average. */
  readonly add: number;
  readonly average: number;
}

/** Arm's DSP extension: dual 16-bit multiply-accumulates. */
const DSP: Ideal = {
  // Tile of 4 pixels by 2 channels, 4 deep: 16 SMLAD, 4 + 1 LDRD, 2 SXTB16 (a word of weights holds 4 taps) for 32 MACs: 23 / 32.
  conv: 23 / 32,
  // 1/2 SMLAD, 1/4 SXTB16, 1/8 LDRD of weights, 1/16 LDRD of inputs that 4 channels share.
  dense: 15 / 16,
  // 3 × 3, two outputs a step: 12 dual multiplies and 3 loads of pairs for 18 MACs.
  depthwise: 15 / 18,
  // SMMUL, SSAT with its shift, STRB; bias, multiplier: half an instruction where pixels share them.
  finishRelu: 3.5,
  // LSL, SMMULR, ADD of the sign, ADD, SSAT, STRB; and the same half.
  finish: 6.5,
  // LDR, SXTB16, EOR, STRD for four.
  pack: 1,
  // Two bytes, two words of tables, ADD, the general finish.
  add: 10.5,
  // LDR, 2 SXTB16, 2 SMLAD for four.
  average: 5 / 4,
};

/** Helium: vectors of 128 bits. */
const MVE: Ideal = {
  // 4 pixels by 2 channels, 16 deep: 8 VMLADAVA, 6 VLDRB and a share of the loop for 128 MACs; sums live in core registers.
  conv: 0.15,
  // For 4 channels: 4 VLDRB of weights, 1 of inputs, 4 VMLADAVA for 64 MACs.
  dense: 9 / 64,
  // Four 32-bit lanes of channels: VLDRB and VMLA, weights in registers, for 4 MACs.
  depthwise: 1 / 2,
  // VQDMULH, VRSHL, VADD, VMAX, VMIN, VSTRB and two loads for four.
  finishRelu: 2,
  finish: 2,
  pack: 0,
  // 2 VLDRB, and for each side VSHL, VQRDMULH, VRSHL; VADD and a finish for four.
  add: 4.25,
  // VLDRB, VADD for four.
  average: 1 / 2,
};

/** Scalar multiply-accumulate (ARMv7-M). */
const MLA: Ideal = {
  // 4 × 2 tile: 6 loads and 8 MLA for 8 MACs.
  conv: 14 / 8,
  // 4 channels share each input: 5 loads and 4 MLA for 4 MACs.
  dense: 9 / 4,
  // 3 × 3 with weights in registers: 9 MLA, 3 loads (the window slides) for 9 MACs.
  depthwise: 12 / 9,
  // SMULL, two shifts or additions for the rounding, SSAT, STRB, loads of bias and multiplier.
  finishRelu: 7,
  finish: 8,
  pack: 0,
  add: 13,
  average: 2,
};

/** No multiply-accumulate, few registers, no long product (ARMv6-M). */
const M0: Ideal = {
  // 2 × 2 tile: 4 loads; a copy, MULS and ADDS for each of 4 MACs.
  conv: 16 / 4,
  dense: 5,
  // Two loads, MULS, ADDS.
  depthwise: 4,
  // Four products of halves and their sums stand for the long one.
  finishRelu: 24,
  finish: 26,
  pack: 0,
  add: 40,
  average: 2,
};

/** RV32IMC: no multiply-accumulate, but 31 registers and the high word of a product. */
const RV32: Ideal = {
  // 4 × 4 tile: 8 loads, 16 MUL, 16 ADD for 16 MACs.
  conv: 40 / 16,
  // 4 channels share each input: 5 loads, 4 MUL, 4 ADD.
  dense: 13 / 4,
  // 9 MUL, 8 ADD, 3 loads for 9 MACs.
  depthwise: 20 / 9,
  // MULH, ADD, SRA, a clamp of three, SB.
  finishRelu: 7,
  finish: 9,
  pack: 0,
  add: 15,
  average: 2,
};

function idealOf(core: Core): Ideal {
  if (core.mve) return MVE;
  if (core.dsp) return DSP;
  if (core.id === "rv32") return RV32;
  return core.id === "cortex-m0" ? M0 : MLA;
}

/** Sums of a float layer: a 4 × 4 tile has 8 loads and 16 fused multiply-adds for 16 MACs. */
const FLOAT_MAC = 24 / 16;

/**
 * The ideal number of instructions of a node on a core, or undefined where there is no such reasoning: for other operators,
 * other element types, and floats without a floating-point unit.
 */
export function idealInstructions(node: Node, id: CoreId): number | undefined {
  const core = coreById(id);
  const [x, y] = [node.inputs[0], node.outputs[0]];
  if (x === null || x === undefined || y === undefined) return undefined;
  const macs = findOp(node.op)?.macs?.(node) ?? 0;
  if (x.dtype === "float32") return core.fpu === "none" || macs === 0 || core.mve ? undefined : FLOAT_MAC * macs;
  if (x.dtype !== "int8" || y.dtype !== "int8") return undefined;
  const ideal = idealOf(core);
  const [inputs, outputs] = [elementCount(x.shape), elementCount(y.shape)];
  const finish = outputs * (String(node.attributes["activation"] ?? "none").startsWith("relu") ? ideal.finishRelu : ideal.finish);
  switch (node.op) {
    case "conv2d":
      return ideal.conv * macs + finish + ideal.pack * inputs;
    case "depthwiseConv2d":
      return ideal.depthwise * macs + finish;
    case "fullyConnected":
      return ideal.dense * macs + finish;
    case "add":
      return ideal.add * outputs;
    case "averagePool2d":
      return ideal.average * inputs;
    default:
      return undefined;
  }
}
