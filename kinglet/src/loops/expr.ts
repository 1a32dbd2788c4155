import { loadedType, type MemoryType, type ScalarType, type ValueKind, type VectorType } from "./types.ts";

/**
 * Arithmetic of two operands of one scalar type.
 * Integers: `add`, `sub`, `mul` must not overflow (index arithmetic, accumulators); `wrapAdd`, `wrapSub`,
 * `wrapMul` are modulo 2^n; `div` and `rem` truncate toward zero, the divisor is never 0; shifts take 0…31 (63);
 * `shr` keeps the sign, `shru` fills with zeros. Floats: IEEE single, rounded after every operation;
 * `min` and `max` are `a < b ? a : b` and `a > b ? a : b` (so a NaN in either gives b).
 */
export type BinaryOp =
  | "add"
  | "sub"
  | "mul"
  | "div"
  | "rem"
  | "min"
  | "max"
  | "and"
  | "or"
  | "xor"
  | "shl"
  | "shr"
  | "shru"
  | "wrapAdd"
  | "wrapSub"
  | "wrapMul";

/** Comparisons give i32 0 or 1. A NaN compares false with everything, and unequal to everything. */
export type CompareOp = "eq" | "ne" | "lt" | "le" | "gt" | "ge";

/**
 * `sqrt` is correctly rounded, `rint` rounds to nearest even, `trunc` toward zero; `bitsToFloat`/`floatToBits` reinterpret.
 */
export type UnaryOp = "neg" | "abs" | "sqrt" | "floor" | "ceil" | "trunc" | "rint" | "bitsToFloat" | "floatToBits" | "clz";

/**
 * The shape of a vector load: 16 bytes; 8 bytes widened to eight 16-bit lanes; 4 signed bytes widened to four 32-bit
 * lanes; one element in every lane; two 16-bit elements in every pair of lanes; four 32-bit elements at even distances.
 */
export type VectorLoadForm = "full" | "widen8s" | "widen8u" | "widen4s" | "splat" | "splatWord" | "gather";

/** What some vector loads need besides: of `gather`, elements from lane to lane; of `full`, how many bytes are read, 0 behind them. */
export interface VectorLoadOptions {
  readonly stride?: Expr;
  readonly count?: number;
}

export type ExprNode =
  | { kind: "const"; value: number | bigint }
  | { kind: "local"; name: string }
  | { kind: "param"; name: string }
  | { kind: "load"; buffer: BufferRef; index: Expr }
  /** Four bytes from element `index` of a buffer of bytes (any alignment), little-endian, as i32; or two int16. */
  | { kind: "loadWord"; buffer: BufferRef; index: Expr }
  | { kind: "binary"; op: BinaryOp; a: Expr; b: Expr }
  | { kind: "compare"; op: CompareOp; a: Expr; b: Expr }
  | { kind: "unary"; op: UnaryOp; a: Expr }
  | { kind: "convert"; a: Expr }
  | { kind: "select"; condition: Expr; a: Expr; b: Expr }
  | { kind: "call"; func: string; args: readonly Expr[] }
  | { kind: "intrinsic"; name: string; args: readonly Expr[] }
  | { kind: "vectorLoad"; buffer: BufferRef; index: Expr; form: VectorLoadForm; stride?: Expr; count?: number }
  | { kind: "vector"; op: string; args: readonly Expr[]; lane?: number };

/** A buffer as a kernel sees it: a parameter of the function. */
export interface BufferRef {
  readonly name: string;
  readonly type: MemoryType;
}

export type Operand = Expr | number;

/** An immutable expression with its type. Numbers are taken as constants of the other operand's type. */
export class Expr {
  readonly type: ValueKind;
  readonly node: ExprNode;

  constructor(type: ValueKind, node: ExprNode) {
    this.type = type;
    this.node = node;
  }

  add(b: Operand): Expr {
    return binary("add", this, b);
  }
  sub(b: Operand): Expr {
    return binary("sub", this, b);
  }
  mul(b: Operand): Expr {
    return binary("mul", this, b);
  }
  div(b: Operand): Expr {
    return binary("div", this, b);
  }
  rem(b: Operand): Expr {
    return binary("rem", this, b);
  }
  min(b: Operand): Expr {
    return binary("min", this, b);
  }
  max(b: Operand): Expr {
    return binary("max", this, b);
  }
  and(b: Operand): Expr {
    return binary("and", this, b);
  }
  or(b: Operand): Expr {
    return binary("or", this, b);
  }
  xor(b: Operand): Expr {
    return binary("xor", this, b);
  }
  shl(b: Operand): Expr {
    return binary("shl", this, b);
  }
  shr(b: Operand): Expr {
    return binary("shr", this, b);
  }
  shru(b: Operand): Expr {
    return binary("shru", this, b);
  }
  wrapAdd(b: Operand): Expr {
    return binary("wrapAdd", this, b);
  }
  wrapSub(b: Operand): Expr {
    return binary("wrapSub", this, b);
  }
  wrapMul(b: Operand): Expr {
    return binary("wrapMul", this, b);
  }
  eq(b: Operand): Expr {
    return compare("eq", this, b);
  }
  ne(b: Operand): Expr {
    return compare("ne", this, b);
  }
  lt(b: Operand): Expr {
    return compare("lt", this, b);
  }
  le(b: Operand): Expr {
    return compare("le", this, b);
  }
  gt(b: Operand): Expr {
    return compare("gt", this, b);
  }
  ge(b: Operand): Expr {
    return compare("ge", this, b);
  }
  neg(): Expr {
    return unary("neg", this);
  }
  abs(): Expr {
    return unary("abs", this);
  }
  sqrt(): Expr {
    return unary("sqrt", this);
  }
  floor(): Expr {
    return unary("floor", this);
  }
  ceil(): Expr {
    return unary("ceil", this);
  }
  trunc(): Expr {
    return unary("trunc", this);
  }
  rint(): Expr {
    return unary("rint", this);
  }
  clz(): Expr {
    return unary("clz", this);
  }
  /** This, if it is not 0, else `b`… as an expression: condition.select(a, b). Both sides may be evaluated. */
  select(a: Expr, b: Operand): Expr {
    return new Expr(a.type, { kind: "select", condition: this, a, b: operand(b, a.type) });
  }
  /** Clamp between two bounds. */
  clamp(low: Operand, high: Operand): Expr {
    return this.max(low).min(high);
  }
  /**
   * Converts between i32, i64 and f32. Integers to f32 round to nearest even; f32 to integers truncates and
   * the value must be in range (use `clamp` first); i64 to i32 wraps.
   */
  to(type: ScalarType): Expr {
    return this.type === type ? this : new Expr(type, { kind: "convert", a: this });
  }
}

export function constant(value: number | bigint, type: ValueKind): Expr {
  if (type === "i64") return new Expr("i64", { kind: "const", value: BigInt(value) });
  if (type === "f32") return new Expr("f32", { kind: "const", value: Math.fround(Number(value)) });
  return new Expr(type, { kind: "const", value: Number(value) });
}

export function i32(value: number): Expr {
  return constant(value, "i32");
}
export function i64(value: number | bigint): Expr {
  return constant(value, "i64");
}
export function f32(value: number): Expr {
  return constant(value, "f32");
}

export function operand(value: Operand, type: ValueKind): Expr {
  return value instanceof Expr ? value : constant(value, type);
}

function binary(op: BinaryOp, a: Expr, b: Operand): Expr {
  const right = operand(b, a.type);
  if (right.type !== a.type) throw new TypeError(`${op} of ${a.type} and ${right.type}`);
  return new Expr(a.type, { kind: "binary", op, a, b: right });
}

function compare(op: CompareOp, a: Expr, b: Operand): Expr {
  const right = operand(b, a.type);
  if (right.type !== a.type) throw new TypeError(`${op} of ${a.type} and ${right.type}`);
  return new Expr("i32", { kind: "compare", op, a, b: right });
}

function unary(op: UnaryOp, a: Expr): Expr {
  const type = op === "bitsToFloat" ? "f32" : op === "floatToBits" ? "i32" : a.type;
  return new Expr(type, { kind: "unary", op, a });
}

/** Reinterprets 32 bits. */
export function bitsToFloat(a: Expr): Expr {
  return unary("bitsToFloat", a);
}
export function floatToBits(a: Expr): Expr {
  return unary("floatToBits", a);
}

export function load(buffer: BufferRef, index: Operand): Expr {
  return new Expr(loadedType(buffer.type), { kind: "load", buffer, index: operand(index, "i32") });
}

/** Four consecutive bytes (or two int16) from element `index`, as one little-endian i32; any alignment. */
export function loadWord(buffer: BufferRef, index: Operand): Expr {
  return new Expr("i32", { kind: "loadWord", buffer, index: operand(index, "i32") });
}

export function vectorLoad(
  type: VectorType,
  buffer: BufferRef,
  index: Operand,
  form: VectorLoadForm = "full",
  options: VectorLoadOptions = {},
): Expr {
  return new Expr(type, { kind: "vectorLoad", buffer, index: operand(index, "i32"), form, ...options });
}
