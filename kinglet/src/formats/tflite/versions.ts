import { type DType, sameShape } from "../../base/index.ts";
import type { ValueType } from "../../graph/index.ts";

/** What decides an operator's version: types of its tensors as the file has them, and its options by name. */
export interface Signature {
  readonly inputs: readonly (ValueType | null)[];
  readonly outputs: readonly ValueType[];
  readonly options: Readonly<Record<string, unknown>>;
}

type Rule = (s: Signature) => number;

const typeOf = (s: Signature, input = 0): DType | undefined => s.inputs[input]?.dtype;
const ranks = (s: Signature): number[] => s.inputs.map((type) => type?.shape.length ?? 0);
const perChannel = (type: ValueType | null | undefined): boolean => (type?.quantization?.scales.length ?? 0) > 1;
/** Floats with 8-bit weights. */
const isHybrid = (s: Signature): boolean => typeOf(s) === "float32" && typeOf(s, 1) === "int8";

/** By the element type of one input; 1 for all others. */
function byType(versions: Readonly<Partial<Record<DType, number>>>, input = 0): Rule {
  return (s) => versions[typeOf(s, input) ?? "float32"] ?? 1;
}

/** Two inputs of different shapes, and more dimensions than the first kernels could broadcast. */
function broadcastsFar(s: Signature): boolean {
  const [a, b] = s.inputs;
  return a != null && b != null && !sameShape(a.shape, b.shape) && Math.max(...ranks(s)) > 4;
}

function either(when: (s: Signature) => boolean, version: number, otherwise: Rule): Rule {
  return (s) => (when(s) ? version : otherwise(s));
}

const isQuantized = (s: Signature): boolean => s.inputs[0]?.quantization !== undefined;
const hasOption = (name: string) => (s: Signature) => Boolean(s.options[name]);

function conv2d(s: Signature): number {
  const [x, weights] = s.inputs;
  if (x!.shape[3] !== weights!.shape[3]) return 6; // groups
  if (isHybrid(s)) return perChannel(weights) ? 5 : 2;
  return byType({ int16: 4, int8: 3 })(s);
}

function depthwiseConv2d(s: Signature): number {
  if (isHybrid(s)) return perChannel(s.inputs[1]) ? 6 : 4;
  const dilated = s.options["dilationH"] !== 1 || s.options["dilationW"] !== 1;
  return Math.max(byType({ int16: 5, int8: 3 })(s), dilated ? 2 : 1);
}

function fullyConnected(s: Signature): number {
  if (isHybrid(s) && perChannel(s.inputs[1])) return 12;
  if (typeOf(s) === "int16") return 7;
  if (s.inputs.length === 2) return 6;
  if (s.options["keepDims"] === true) return 5;
  if (isHybrid(s)) return s.options["asymmetricQuantizeInputs"] === true ? 9 : 3;
  return byType({ int8: 4 })(s);
}

function lstm(s: Signature): number {
  if (typeOf(s) === "float32" && typeOf(s, 2) === "int8") return s.options["asymmetricQuantizeInputs"] === true ? 3 : 2;
  return byType({ int16: 5 })(s);
}

function mul(s: Signature): number {
  if (typeOf(s) === "int16") return isQuantized(s) ? 4 : 7;
  const [a, b, c] = [...s.inputs, ...s.outputs].map((type) => type?.quantization?.scales[0] ?? 0) as [number, number, number];
  if (a !== 0 && b !== 0 && c !== 0 && (a * b) / c >= 1) return 3;
  return byType({ float16: 8, uint32: 7, int64: 5, int8: 2 })(s);
}

function cast(s: Signature): number {
  const types = new Set([typeOf(s), s.outputs[0]?.dtype]);
  if (types.has("float64") || types.has("float16")) return 5;
  if (types.has("uint16")) return 4;
  if (types.has("int8")) return 3;
  return types.has("uint32") ? 2 : 1;
}

const bytes = byType({ int8: 2 });
const bytesAndShorts = byType({ int8: 2, int16: 3 });
const extremes = either((s) => typeOf(s) !== "int16" && broadcastsFar(s), 3, byType({ int8: 2, int16: 4 }));
const blocks = either((s) => typeOf(s) !== "int16" && ranks(s)[0] !== 4, 3, byType({ int8: 2, int16: 4 }));
const padding = either((s) => ranks(s)[0]! > 4, 4, byType({ int8: 2, int16: 3, bool: 5 }));
const resize = either(hasOption("halfPixelCenters"), 3, bytes);
const compare = byType({ int8: 2, int16: 3 });

/**
 * The first version of each builtin operator that defines what is asked of it; an operator that is not here has only one.
 * Runtimes refuse what is newer than they are, so the smallest one that says everything is written.
 */
const RULES: Readonly<Record<string, Rule>> = {
  CONV_2D: conv2d,
  DEPTHWISE_CONV_2D: depthwiseConv2d,
  FULLY_CONNECTED: fullyConnected,
  TRANSPOSE_CONV: (s) => ((s.options["activation"] ?? "none") !== "none" ? 4 : s.inputs.length === 4 ? 3 : byType({ int8: 2 }, 1)(s)),
  BATCH_MATMUL: either((s) => isHybrid(s) && s.options["asymmetricQuantizeInputs"] === true, 4, bytesAndShorts),
  EMBEDDING_LOOKUP: (s) => (perChannel(s.inputs[1]) ? 4 : 1),
  AVERAGE_POOL_2D: bytesAndShorts,
  MAX_POOL_2D: bytesAndShorts,
  SVDF: (s) => (isHybrid(s) ? (s.options["asymmetricQuantizeInputs"] === true ? 4 : 2) : byType({ int8: 3 })(s)),
  UNIDIRECTIONAL_SEQUENCE_LSTM: lstm,
  ADD: either((s) => typeOf(s) === "int16", 3, byType({ float16: 6, int64: 4, int8: 2 })),
  SUB: either((s) => typeOf(s) !== "int16" && broadcastsFar(s), 3, byType({ int16: 5, int64: 4, int8: 2 })),
  MUL: mul,
  DIV: (s) => (broadcastsFar(s) ? 2 : 1),
  MAXIMUM: extremes,
  MINIMUM: extremes,
  FLOOR_DIV: byType({ int16: 3, int8: 3, float32: 2 }),
  FLOOR_MOD: byType({ int16: 2, int8: 2 }),
  SQUARED_DIFFERENCE: bytes,
  EQUAL: byType({ int16: 5, int8: 2 }),
  NOT_EQUAL: byType({ int16: 4, int8: 2 }),
  LESS: compare,
  GREATER_EQUAL: compare,
  GREATER: bytes,
  LESS_EQUAL: bytes,
  SELECT_V2: byType({ uint32: 2 }),
  RELU: byType({ int16: 3, int8: 2, uint8: 2 }),
  RELU6: bytesAndShorts,
  LEAKY_RELU: byType({ int16: 2 }),
  TANH: bytesAndShorts,
  LOGISTIC: bytesAndShorts,
  GELU: byType({ int8: 2, uint8: 2 }),
  ABS: either((s) => typeOf(s) === "int16" && !isQuantized(s), 4, byType({ int32: 5, int16: 3, int8: 2, uint8: 2 })),
  EXP: byType({ int8: 2, int16: 2 }),
  LOG: byType({ int8: 2, int16: 2 }),
  SQRT: byType({ int8: 2, int16: 2 }),
  RSQRT: bytesAndShorts,
  SOFTMAX: bytesAndShorts,
  LOG_SOFTMAX: bytes,
  L2_NORMALIZATION: bytes,
  MEAN: bytesAndShorts,
  SUM: bytes,
  REDUCE_MAX: bytesAndShorts,
  REDUCE_MIN: bytesAndShorts,
  REDUCE_PROD: byType({ int8: 2, int16: 2 }),
  ARG_MAX: byType({ bool: 3, int8: 2 }),
  ARG_MIN: byType({ bool: 3, int8: 2 }),
  CONCATENATION: byType({ uint32: 4, int16: 3, int8: 2 }),
  SPLIT: byType({ int16: 4, int32: 3, int8: 2 }, 1),
  SPLIT_V: bytes,
  PACK: byType({ uint32: 4, int16: 3, int8: 2 }),
  UNPACK: byType({ float16: 5, int16: 4, bool: 3, int8: 2, uint8: 2 }),
  SLICE: either((s) => ranks(s)[0]! > 4, 5, byType({ uint32: 6, int16: 4, int8: 2 })),
  STRIDED_SLICE: either(
    hasOption("newAxisMask"),
    6,
    either((s) => ranks(s)[0]! > 4, 4, byType({ uint32: 7, bool: 3, int8: 2 })),
  ),
  PAD: padding,
  PADV2: padding,
  MIRROR_PAD: bytesAndShorts,
  TRANSPOSE: either(
    (s) => ranks(s)[0]! > 5,
    6,
    either((s) => ranks(s)[0]! > 4, 4, byType({ int16: 5, bool: 3, int8: 2 })),
  ),
  GATHER: either(hasOption("batchDims"), 5, byType({ int16: 4, bool: 3, int8: 2 })),
  GATHER_ND: byType({ bool: 5, int16: 3 }),
  TILE: byType({ int8: 3 }),
  // Its first version was withdrawn.
  BROADCAST_TO: (s) => Math.max(2, byType({ int8: 3, int16: 3 })(s)),
  FILL: byType({ float16: 4, int8: 3, int16: 3, bool: 2 }, 1),
  SPACE_TO_BATCH_ND: blocks,
  BATCH_TO_SPACE_ND: blocks,
  SPACE_TO_DEPTH: bytes,
  DEPTH_TO_SPACE: bytes,
  RESIZE_BILINEAR: either((s) => typeOf(s) === "int16", 4, resize),
  RESIZE_NEAREST_NEIGHBOR: either((s) => typeOf(s) === "int16", 4, either(hasOption("alignCorners"), 3, resize)),
  CAST: cast,
  QUANTIZE: (s) => (s.outputs[0]?.dtype === "int16" ? 2 : 1),
  DEQUANTIZE: (s) => (typeOf(s) === "int8" ? (perChannel(s.inputs[0]) ? 5 : 2) : byType({ int16: 3, float16: 3 })(s)),
};

/** The version of an operator that a runtime needs; 1 for custom ones. */
export function operatorVersion(name: string, signature: Signature): number {
  return RULES[name]?.(signature) ?? 1;
}
