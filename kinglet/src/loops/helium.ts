import { Expr } from "./expr.ts";
import type { ValueKind } from "./types.ts";

/** The lanes of a vector as numbers, or a scalar. */
type Lanes = ArrayLike<number>;

/** One operation of Arm's Helium vectors (MVE): its meaning as JavaScript on lanes, and its C text, where $0, $1 … are the arguments. */
export interface HeliumOp {
  readonly args: readonly ValueKind[];
  readonly result: ValueKind;
  readonly plain: (...args: never[]) => number | Int8Array | Int32Array;
  readonly c: string;
}

function lanes(...vectors: readonly Lanes[]): (f: (...values: number[]) => number) => Int32Array {
  return (f) => Int32Array.from({ length: 4 }, (_, i) => f(...vectors.map((v) => v[i]!)));
}

/** floor((a · b + 2^30) / 2^31), saturated. */
function highMul(a: number, b: number): number {
  const high = (BigInt(a) * BigInt(b) + (1n << 30n)) >> 31n;
  return Number(high > 2147483647n ? 2147483647n : high);
}

/** To the left by a positive amount, to the right by a negative one, where halves go up. */
function roundingShift(a: number, by: number): number {
  return by >= 0 ? a << by : Number((BigInt(a) + (1n << BigInt(-by - 1))) >> BigInt(-by));
}

/** The operations that schedules use. Lanes wrap where nothing else is said. */
export const HELIUM_OPS = {
  /** a + the sum of the sixteen products of b and c (VMLADAVA). */
  dot: {
    args: ["i32", "i8x16", "i8x16"],
    result: "i32",
    plain: (a: number, b: Lanes, c: Lanes) => Array.from(b).reduce((sum, value, i) => (sum + value * c[i]!) | 0, a),
    c: "vmladavaq_s8($0, $1, $2)",
  },
  /** The sum of the sixteen products (VMLADAV). */
  product: {
    args: ["i8x16", "i8x16"],
    result: "i32",
    plain: (b: Lanes, c: Lanes) => Array.from(b).reduce((sum, value, i) => sum + value * c[i]!, 0),
    c: "vmladavq_s8($0, $1)",
  },
  bytes: { args: ["i32"], result: "i8x16", plain: (a: number) => new Int8Array(16).fill(a), c: "vdupq_n_s8((int8_t)$0)" },
  splat: { args: ["i32"], result: "i32x4", plain: (a: number) => new Int32Array(4).fill(a), c: "vdupq_n_s32($0)" },
  /** Four scalars as lanes. */
  lanes: {
    args: ["i32", "i32", "i32", "i32"],
    result: "i32x4",
    plain: (...values: number[]) => Int32Array.from(values),
    c: "k_lanes($0, $1, $2, $3)",
  },
  add: { args: ["i32x4", "i32x4"], result: "i32x4", plain: (a: Lanes, b: Lanes) => lanes(a, b)((x, y) => x! + y!), c: "vaddq_s32($0, $1)" },
  addScalar: { args: ["i32x4", "i32"], result: "i32x4", plain: (a: Lanes, b: number) => lanes(a)((x) => x! + b), c: "vaddq_n_s32($0, $1)" },
  mulScalar: { args: ["i32x4", "i32"], result: "i32x4", plain: (a: Lanes, b: number) => lanes(a)((x) => Math.imul(x!, b)), c: "vmulq_n_s32($0, $1)" },
  max: { args: ["i32x4", "i32x4"], result: "i32x4", plain: (a: Lanes, b: Lanes) => lanes(a, b)((x, y) => Math.max(x!, y!)), c: "vmaxq_s32($0, $1)" },
  min: { args: ["i32x4", "i32x4"], result: "i32x4", plain: (a: Lanes, b: Lanes) => lanes(a, b)((x, y) => Math.min(x!, y!)), c: "vminq_s32($0, $1)" },
  /** Less one in negative lanes: a rounding shift that follows then takes halves away from zero. */
  addSign: { args: ["i32x4"], result: "i32x4", plain: (a: Lanes) => lanes(a)((x) => x! + (x! >> 31)), c: "k_add_sign($0)" },
  highMul: { args: ["i32x4", "i32x4"], result: "i32x4", plain: (a: Lanes, b: Lanes) => lanes(a, b)(highMul as never), c: "vqrdmulhq_s32($0, $1)" },
  highMulScalar: {
    args: ["i32x4", "i32"],
    result: "i32x4",
    plain: (a: Lanes, b: number) => lanes(a)((x) => highMul(x!, b)),
    c: "vqrdmulhq_n_s32($0, $1)",
  },
  roundingShift: {
    args: ["i32x4", "i32x4"],
    result: "i32x4",
    plain: (a: Lanes, b: Lanes) => lanes(a, b)(roundingShift as never),
    c: "vrshlq_s32($0, $1)",
  },
  roundingShiftScalar: {
    args: ["i32x4", "i32"],
    result: "i32x4",
    plain: (a: Lanes, b: number) => lanes(a)((x) => roundingShift(x!, b)),
    c: "vrshlq_n_s32($0, $1)",
  },
  lane0: { args: ["i32x4"], result: "i32", plain: (a: Lanes) => a[0]!, c: "vgetq_lane_s32($0, 0)" },
  lane1: { args: ["i32x4"], result: "i32", plain: (a: Lanes) => a[1]!, c: "vgetq_lane_s32($0, 1)" },
  lane2: { args: ["i32x4"], result: "i32", plain: (a: Lanes) => a[2]!, c: "vgetq_lane_s32($0, 2)" },
  /** The low byte of each lane becomes the lane limited to -128 to 127; the other bytes are of no use. */
  saturate8: { args: ["i32x4"], result: "i32x4", plain: (a: Lanes) => lanes(a)((x) => Math.max(-128, Math.min(127, x!))), c: "k_saturate8($0)" },
} as const satisfies Record<string, HeliumOp>;

export type HeliumOpName = keyof typeof HELIUM_OPS;

const PREFIX = "helium.";

/** A Helium operation on typed operands. @throws TypeError where a type does not fit. */
export function helium(name: HeliumOpName, ...args: readonly Expr[]): Expr {
  const spec: HeliumOp = HELIUM_OPS[name];
  if (spec.args.length !== args.length || spec.args.some((type, i) => args[i]!.type !== type))
    throw new TypeError(`${name} takes ${spec.args.join(", ")}`);
  return new Expr(spec.result, { kind: "vector", op: PREFIX + name, args });
}

/** The operation of a `vector` expression, where it is one of these. */
export function heliumOp(op: string): HeliumOp | undefined {
  return op.startsWith(PREFIX) ? HELIUM_OPS[op.slice(PREFIX.length) as HeliumOpName] : undefined;
}

const VECTOR_FORMS = {
  full(type: "i8x16" | "i32x4", view: Uint8Array, from: number, count: number): Int8Array | Int32Array {
    const bytes = new Uint8Array(16);
    bytes.set(view.subarray(from, from + count));
    return type === "i8x16" ? new Int8Array(bytes.buffer) : new Int32Array(bytes.buffer);
  },
  widen4s: (_type: string, view: Uint8Array, from: number): Int32Array => Int32Array.from(new Int8Array(view.buffer, view.byteOffset + from, 4)),
  gather(type: "i8x16" | "i32x4", view: Uint8Array, from: number, stride: number): Int8Array | Int32Array {
    const bytes = new Uint8Array(16);
    for (let lane = 0; lane < 4; lane++) bytes.set(view.subarray(from + 4 * stride * lane, from + 4 * stride * lane + 4), 4 * lane);
    return type === "i8x16" ? new Int8Array(bytes.buffer) : new Int32Array(bytes.buffer);
  },
};

/** Stores the bytes of vectors as the forms of `VectorStore` say. */
function storeVectors(view: Uint8Array, to: number, form: string, vectors: readonly (Int8Array | Int32Array)[]): void {
  const bytes = vectors.map((v) => new Uint8Array(v.buffer, v.byteOffset, 16));
  if (form === "narrow") for (let lane = 0; lane < 4; lane++) view[to + lane] = bytes[0]![4 * lane]!;
  else if (form === "interleave4") for (let i = 0; i < 64; i++) view[to + i] = bytes[i % 4]![i >> 2]!;
  else view.set(form === "low8" ? bytes[0]!.subarray(0, 8) : bytes[0]!, to);
}

/** What generated JavaScript calls for vectors: the meanings above. */
export const HELIUM_JS = {
  ops: Object.fromEntries(Object.entries(HELIUM_OPS).map(([name, op]) => [PREFIX + name, op.plain])) as Record<string, HeliumOp["plain"]>,
  load: VECTOR_FORMS,
  store: storeVectors,
};
