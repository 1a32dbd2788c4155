import type { DType } from "../../../base/index.ts";
import type { Node } from "../../../graph/index.ts";
import { attributesOf, rangeOfDType } from "../../../ops/index.ts";
import { ELEMENTS } from "../elements.ts";
import { int } from "./attributes.ts";
import type { NodeWriter } from "./node-writer.ts";
import type { Tensor } from "./parts.ts";
import type { WriteRules } from "./rule.ts";
import { isQuantized } from "./values.ts";

/** Integers that floats are clamped to; wider ones have bounds that single precision does not. */
const NARROW = new Set(["int8", "uint8", "int16", "uint16"]);

/** Between element types as they are stored. */
function cast(w: NodeWriter): void {
  const order = w.layout();
  const { dtype } = w.output();
  const x = w.stored(0, order);
  w.giveStored(w.cast(w.input(0).dtype === "float32" && NARROW.has(dtype) ? clamped(w, x, dtype) : x, dtype), order);
}

function clamped(w: NodeWriter, x: Tensor, dtype: DType): Tensor {
  const { low, high } = rangeOfDType(dtype);
  const bounds = [low, high].map((bound) => w.parts.numbers("float32", bound));
  return w.emit("Clip", [x, ...bounds], x.shape, [], x.element);
}

/** The real numbers of a value, which stand beside every value of integers already. */
function dequantize(w: NodeWriter): void {
  const order = w.layout();
  w.giveStored(w.real(0, order, w.input(0).quantization), order);
}

function quantize(w: NodeWriter): void {
  const order = w.layout();
  w.give(w.real(0, order, w.input(0).quantization), order);
}

/** Numbers of 32 bits are dequantized without a zero point. */
function dequantizes({ inputs: [x] }: Node): string | undefined {
  const wide = x!.dtype === "int32" && x!.quantization?.zeroPoints.every((zero) => zero === 0) === true;
  return wide || isQuantized(x!) ? undefined : `ONNX does not dequantize such ${x!.dtype}`;
}

function quantizes(node: Node): string | undefined {
  const {
    inputs: [x],
    outputs: [y],
  } = node;
  if (!isQuantized(y!)) return `ONNX does not quantize to ${y!.dtype}`;
  return x!.dtype === "float32" ? undefined : dequantizes(node);
}

interface RoundFloat {
  readonly mantissaBits: number;
  readonly largest: number;
  readonly beyond: "infinity" | "nan" | "largest";
}

/** Floats of 4 bits came after the operator sets that are written here. */
const SMALLEST_BITS = 8;

/** The element type of ONNX whose numbers a rounding gives. */
function roundedType(node: Node): number | undefined {
  const { mantissaBits, largest } = attributesOf<RoundFloat>(node);
  for (const [code, { float, bits }] of ELEMENTS)
    if (bits >= SMALLEST_BITS && float?.mantissaBits === mantissaBits && float.largest === largest) return code;
  return undefined;
}

function roundFloat(w: NodeWriter): void {
  const order = w.layout();
  const narrow = roundedType(w.node)!;
  const saturates = w.attributes<RoundFloat>().beyond === "largest" || ELEMENTS.get(narrow)!.bits > SMALLEST_BITS;
  const attributes = [int("to", narrow), ...(saturates ? [] : [int("saturate", 0)])];
  const rounded = w.emit("Cast", [w.real(0, order)], w.shape(order), attributes, narrow);
  w.give(w.emit("Cast", [rounded], w.shape(order), [int("to", w.element)]), order);
}

const SMALL_FLOATS_SINCE = 19;

export const CONVERSION: WriteRules = {
  cast: { write: cast },
  quantize: { write: quantize, obstacle: quantizes },
  dequantize: { write: dequantize, obstacle: dequantizes },
  roundFloat: {
    write: roundFloat,
    since: (node) => (ELEMENTS.get(roundedType(node) ?? 0)?.bits === 16 ? 13 : SMALL_FLOATS_SINCE),
    obstacle: (node) => (roundedType(node) === undefined ? "ONNX has no such floats" : undefined),
  },
};
