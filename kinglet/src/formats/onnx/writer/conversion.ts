import type { Node } from "../../../graph/index.ts";
import { attributesOf } from "../../../ops/index.ts";
import { ELEMENTS, elementCode } from "../elements.ts";
import { int } from "./attributes.ts";
import type { NodeWriter } from "./node-writer.ts";
import type { WriteRules } from "./rule.ts";
import { isQuantized } from "./values.ts";

/** Between element types as they are stored. */
function cast(w: NodeWriter): void {
  const order = w.layout();
  const element = elementCode(w.output().dtype);
  w.giveStored(w.emit("Cast", [w.stored(0, order)], w.shape(order), [int("to", element)], element), order);
}

/** The real numbers of a value, which stand beside every value of integers already. */
function dequantize(w: NodeWriter): void {
  const order = w.layout();
  w.giveStored(w.real(0, order), order);
}

function quantize(w: NodeWriter): void {
  const order = w.layout();
  w.give(w.real(0, order), order);
}

const quantizes = ({ outputs }: Node): string | undefined =>
  isQuantized(outputs[0]!) ? undefined : `ONNX does not quantize to ${outputs[0]!.dtype}`;

interface RoundFloat {
  readonly mantissaBits: number;
  readonly largest: number;
}

/** The element type of ONNX whose numbers a rounding gives. */
function roundedType(node: Node): number | undefined {
  const { mantissaBits, largest } = attributesOf<RoundFloat>(node);
  for (const [code, { float }] of ELEMENTS) if (float?.mantissaBits === mantissaBits && float.largest === largest) return code;
  return undefined;
}

function roundFloat(w: NodeWriter): void {
  const order = w.layout();
  const narrow = roundedType(w.node)!;
  const rounded = w.emit("Cast", [w.real(0, order)], w.shape(order), [int("to", narrow)], narrow);
  w.give(w.emit("Cast", [rounded], w.shape(order), [int("to", w.element)]), order);
}

const SMALL_FLOATS_SINCE = 19;

export const CONVERSION: WriteRules = {
  cast: { write: cast },
  quantize: { write: quantize, obstacle: quantizes },
  dequantize: { write: dequantize, obstacle: ({ inputs }) => (isQuantized(inputs[0]!) ? undefined : `ONNX does not dequantize ${inputs[0]!.dtype}`) },
  roundFloat: {
    write: roundFloat,
    since: (node) => (ELEMENTS.get(roundedType(node) ?? 0)?.bits === 16 ? 13 : SMALL_FLOATS_SINCE),
    obstacle: (node) => (roundedType(node) === undefined ? "ONNX has no such floats" : undefined),
  },
};
