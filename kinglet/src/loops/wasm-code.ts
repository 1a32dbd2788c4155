import { KingletError } from "../base/index.ts";
import { type BinaryOp, Expr, type ExprNode, load } from "./expr.ts";
import { type Intrinsic, INTRINSICS, type IntrinsicName } from "./intrinsics.ts";
import { isVector, LANES, MEMORY_BYTES, type ScalarType, type VectorType } from "./types.ts";
import { VECTOR_OPS, type VectorOp, type VectorOpName } from "./vector.ts";
import { emitAddress, putMemoryArgument } from "./wasm-address.ts";
import { floatBytes, signed, signed64, unsigned } from "./wasm-encoder.ts";
import type { Frame } from "./wasm-frame.ts";
import { BINARY, COMPARE, CONVERT, LOAD, OP, SIMD, UNARY } from "./wasm-opcodes.ts";

type Node<K extends ExprNode["kind"]> = Extract<ExprNode, { kind: K }>;

function unsupported(what: string, type: string): KingletError {
  return new KingletError("internal", `WebAssembly has no ${what} of ${type}.`);
}

/** Appends the code that leaves the value of `e` on the stack. */
export function emit(frame: Frame, e: Expr): void {
  const node = e.node;
  switch (node.kind) {
    case "const":
      emitConstant(frame, node.value, e.type);
      break;
    case "local":
      frame.get(frame.local(node.name).index);
      break;
    case "param":
      emitParam(frame, e, node.name);
      break;
    case "load":
      emitLoad(frame, node);
      break;
    case "loadWord":
      emitLoadWord(frame, node);
      break;
    case "binary":
      emitBinary(frame, e, node);
      break;
    case "compare":
      emitCompare(frame, node);
      break;
    case "unary":
      emitUnary(frame, node);
      break;
    case "convert":
      emitConvert(frame, e, node);
      break;
    case "select":
      emitSelect(frame, node);
      break;
    case "call":
      emitCall(frame, node);
      break;
    case "intrinsic":
      emitIntrinsic(frame, node);
      break;
    case "vectorLoad":
      emitVectorLoad(frame, e.type as VectorType, node);
      break;
    case "vector":
      emitVector(frame, node);
      break;
  }
}

function emitConstant(frame: Frame, value: number | bigint, type: Expr["type"]): void {
  if (isVector(type)) emitVectorConstant(frame, Number(value), type);
  else if (type === "i64") frame.put(OP.i64_const, ...signed64(BigInt(value)));
  else if (type === "f32") frame.put(OP.f32_const, ...floatBytes(Number(value)));
  else frame.put(OP.i32_const, ...signed(Number(value)));
}

function emitParam(frame: Frame, e: Expr, name: string): void {
  const fixed = frame.context.fixed.get(name);
  if (fixed === undefined) frame.get(frame.param(name));
  else emitConstant(frame, fixed, e.type);
}

function emitLoad(frame: Frame, node: Node<"load">): void {
  const offset = emitAddress(frame, node.buffer, node.index);
  frame.put(LOAD[node.buffer.type]);
  putMemoryArgument(frame, Math.log2(MEMORY_BYTES[node.buffer.type]), offset);
}

function emitLoadWord(frame: Frame, node: Node<"loadWord">): void {
  const offset = emitAddress(frame, node.buffer, node.index);
  frame.put(OP.i32_load);
  putMemoryArgument(frame, 0, offset);
}

function emitBinary(frame: Frame, e: Expr, node: Node<"binary">): void {
  if (isVector(e.type)) throw unsupported(node.op, e.type);
  if (node.op === "min" || node.op === "max") {
    emitExtreme(frame, e.type, node.op, node.a, node.b);
    return;
  }
  const opcode = BINARY[e.type][node.op];
  if (opcode === undefined) throw unsupported(node.op, e.type);
  emit(frame, node.a);
  emit(frame, node.b);
  frame.put(opcode);
}

/** Pushes a value and makes sure that it can be pushed again: returns how, and what to do at the end. */
function emitTwice(frame: Frame, e: Expr): { again: () => void; done: () => void } {
  emit(frame, e);
  if (frame.isLeaf(e)) return { again: () => emit(frame, e), done: () => {} };
  const temp = frame.acquire(e.type);
  frame.tee(temp);
  return { again: () => frame.get(temp), done: () => frame.release(e.type, temp) };
}

/** `a < b ? a : b` to the letter: f32.min would differ for NaN and for zeros of different signs. */
function emitExtreme(frame: Frame, type: ScalarType, op: BinaryOp & ("min" | "max"), a: Expr, b: Expr): void {
  const first = emitTwice(frame, a);
  const second = emitTwice(frame, b);
  first.again();
  second.again();
  frame.put(COMPARE[type][op === "min" ? "lt" : "gt"], OP.select);
  first.done();
  second.done();
}

function emitCompare(frame: Frame, node: Node<"compare">): void {
  const type = node.a.type;
  if (isVector(type)) throw unsupported(node.op, type);
  emit(frame, node.a);
  emit(frame, node.b);
  frame.put(COMPARE[type][node.op]);
}

function emitUnary(frame: Frame, node: Node<"unary">): void {
  const type = node.a.type;
  if (isVector(type)) throw unsupported(node.op, type);
  if (type !== "f32" && node.op === "neg") emitNegative(frame, node.a);
  else if (type !== "f32" && node.op === "abs") emitAbsolute(frame, type, node.a);
  else emitUnaryInstruction(frame, type, node);
}

function emitUnaryInstruction(frame: Frame, type: ScalarType, node: Node<"unary">): void {
  const opcode = UNARY[type][node.op];
  if (opcode === undefined) throw unsupported(node.op, type);
  emit(frame, node.a);
  frame.put(opcode);
}

function emitNegative(frame: Frame, a: Expr): void {
  frame.zero(a.type);
  emit(frame, a);
  frame.put(BINARY[a.type as ScalarType].sub!);
}

/** 0 - a, a, a < 0: select. */
function emitAbsolute(frame: Frame, type: ScalarType, a: Expr): void {
  frame.zero(type);
  const value = emitTwice(frame, a);
  frame.put(BINARY[type].sub!);
  value.again();
  value.again();
  frame.zero(type);
  frame.put(COMPARE[type].lt, OP.select);
  value.done();
}

function emitConvert(frame: Frame, e: Expr, node: Node<"convert">): void {
  emit(frame, node.a);
  if (node.a.type === e.type) return;
  const opcode = CONVERT[`${node.a.type} ${e.type}`];
  if (opcode === undefined) throw unsupported(`conversion to ${e.type}`, node.a.type);
  frame.put(...opcode);
}

function emitSelect(frame: Frame, node: Node<"select">): void {
  emit(frame, node.a);
  emit(frame, node.b);
  emit(frame, node.condition);
  frame.put(OP.select);
}

function emitCall(frame: Frame, node: Node<"call">): void {
  for (const arg of node.args) emit(frame, arg);
  frame.put(OP.call, ...unsigned(frame.context.functionIndex(node.func)));
}

/** Writes out the plain meaning; arguments that cost something are computed once, before. */
function emitIntrinsic(frame: Frame, node: Node<"intrinsic">): void {
  const spec: Intrinsic | undefined = INTRINSICS[node.name as IntrinsicName];
  if (spec === undefined) throw new KingletError("internal", `There is no intrinsic ${node.name}.`);
  expand(frame, spec, node.args, []);
}

function expand(frame: Frame, spec: Intrinsic, rest: readonly Expr[], ready: readonly Expr[]): void {
  const [arg, ...later] = rest;
  if (arg === undefined) emit(frame, spec.plain(...ready));
  else if (frame.isLeaf(arg)) expand(frame, spec, later, [...ready, arg]);
  else inTemporary(frame, arg, (temp) => expand(frame, spec, later, [...ready, temp]));
}

/** Computes a value into an unnamed local, which `use` may read as an expression. */
function inTemporary(frame: Frame, value: Expr, use: (temp: Expr) => void): void {
  const index = frame.acquire(value.type);
  emit(frame, value);
  frame.set(index);
  // No local of the loop language has a name with a blank.
  const name = `argument ${index}`;
  frame.withName(name, value.type, index, () => use(new Expr(value.type, { kind: "local", name })));
  frame.release(value.type, index);
}

const SPLAT_LOAD: Readonly<Record<number, number>> = { 1: SIMD.load8_splat, 2: SIMD.load16_splat, 4: SIMD.load32_splat };
const SPLAT: Readonly<Record<VectorType, number>> = {
  i8x16: SIMD.i8x16_splat,
  i16x8: SIMD.i16x8_splat,
  i32x4: SIMD.i32x4_splat,
  i64x2: SIMD.i64x2_splat,
  f32x4: SIMD.f32x4_splat,
};

function emitVectorLoad(frame: Frame, type: VectorType, node: Node<"vectorLoad">): void {
  const bytes = MEMORY_BYTES[node.buffer.type];
  if (node.form === "splat" && bytes * LANES[type] !== 16) {
    // An element narrower than its lane is loaded as the scalar that it becomes, sign and all.
    emit(frame, load(node.buffer, node.index));
    frame.put(OP.simd, SPLAT[type]);
    return;
  }
  if (node.form === "widen4s" || node.form === "gather") throw new KingletError("internal", `WebAssembly has no vector load ${node.form}.`);
  const opcode = { full: SIMD.load, widen8s: SIMD.load8x8_s, widen8u: SIMD.load8x8_u, splat: SPLAT_LOAD[bytes]!, splatWord: SIMD.load32_splat }[
    node.form
  ];
  const offset = emitAddress(frame, node.buffer, node.index);
  frame.put(OP.simd, opcode);
  putMemoryArgument(frame, 0, offset);
}

/** One value in every lane. */
function emitVectorConstant(frame: Frame, value: number, type: VectorType): void {
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  for (let lane = 0; lane < LANES[type]; lane++) {
    if (type === "f32x4") view.setFloat32(lane * 4, value, true);
    else if (type === "i32x4") view.setInt32(lane * 4, value, true);
    else if (type === "i64x2") view.setBigInt64(lane * 8, BigInt(value), true);
    else if (type === "i16x8") view.setInt16(lane * 2, value, true);
    else view.setInt8(lane, value);
  }
  frame.put(OP.simd, SIMD.constant, ...bytes);
}

function emitVector(frame: Frame, node: Node<"vector">): void {
  const spec: VectorOp | undefined = VECTOR_OPS[node.op as VectorOpName];
  if (spec === undefined) throw new KingletError("internal", `There is no vector operation ${node.op}.`);
  if (node.op === "f32x4.multiply_add") {
    emitMultiplyAdd(frame, node.args as readonly [Expr, Expr, Expr]);
    return;
  }
  if (node.op === "i32x4.add_dot_u8_s8") {
    emitByteDot(frame, node.args as readonly [Expr, Expr, Expr]);
    return;
  }
  for (const arg of node.args) emit(frame, arg);
  // A vector seen as other lanes is the same 128 bits.
  if (spec.opcode === undefined) return;
  frame.put(OP.simd, ...unsigned(spec.opcode), ...(spec.bytes ?? []));
  if (spec.lane) frame.put(node.lane ?? 0);
}

function emitMultiplyAdd(frame: Frame, [a, b, c]: readonly [Expr, Expr, Expr]): void {
  const order = frame.context.relaxed ? [a, b, c] : [c, a, b];
  for (const arg of order) emit(frame, arg);
  if (frame.context.relaxed) frame.put(OP.simd, ...unsigned(SIMD.f32x4_relaxed_madd));
  else frame.put(OP.simd, ...unsigned(SIMD.f32x4_mul), OP.simd, ...unsigned(SIMD.f32x4_add));
}

function emitByteDot(frame: Frame, [x, w, sum]: readonly [Expr, Expr, Expr]): void {
  if (!frame.context.relaxed) {
    for (const arg of [sum, x, w]) emit(frame, arg);
    emitPlainDot(frame);
    return;
  }
  for (const arg of [w, x, sum]) emit(frame, arg);
  frame.put(OP.simd, ...unsigned(SIMD.i32x4_relaxed_dot_add));
}

/** The same by baseline SIMD, from a sum, unsigned and signed bytes on the stack: products of 16 bits, then neighbours added. */
function emitPlainDot(frame: Frame): void {
  const [x, w, low, high] = Array.from({ length: 4 }, () => frame.acquire("i8x16")) as [number, number, number, number];
  const simd = (op: number): void => frame.put(OP.simd, ...unsigned(op));
  frame.set(w);
  frame.set(x);
  for (const [half, extendX, extendW] of [
    [low, SIMD.i16x8_extend_low_u, SIMD.i16x8_extend_low_s],
    [high, SIMD.i16x8_extend_high_u, SIMD.i16x8_extend_high_s],
  ] as const) {
    frame.get(x);
    simd(extendX);
    frame.get(w);
    simd(extendW);
    simd(SIMD.i32x4_dot_i16x8_s);
    frame.set(half);
  }
  for (const first of [0, 4]) {
    frame.get(low);
    frame.get(high);
    frame.put(OP.simd, SIMD.shuffle, ...[0, 8, 16, 24].flatMap((at) => [0, 1, 2, 3].map((byte) => at + first + byte)));
    simd(SIMD.i32x4_add);
  }
  for (const local of [x, w, low, high]) frame.release("i8x16", local);
}
