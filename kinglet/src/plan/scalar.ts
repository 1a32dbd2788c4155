import type { BinaryOp, Expr, Func, StepArgument, UnaryOp, ValueKind } from "../loops/index.ts";

/**
 * JavaScript source that computes an expression exactly as the loop language defines it, or null where it
 * depends on data. i64 becomes a BigInt, the others numbers. `leaf` gives the source of a local.
 */
export interface ScalarScope {
  /** Source of a local, or null where its value is not known. */
  local(name: string): string | null;
  readonly scalars: ReadonlyMap<string, number | bigint>;
  readonly functions: ReadonlyMap<string, Func>;
}

export function literal(value: number | bigint): string {
  return typeof value === "bigint" ? `(${value}n)` : Object.is(value, -0) ? "(-0)" : `(${value})`;
}

/** A function's scalar parameters with the values that one step binds them to. */
export function boundScalars(func: Func, args: readonly StepArgument[]): Map<string, number | bigint> {
  const bound = new Map<string, number | bigint>();
  func.params.forEach((param, i) => {
    const arg = args[i];
    if (param.kind !== "scalar" || arg?.kind !== "scalar") return;
    bound.set(param.name, arg.type === "i64" ? BigInt(arg.value) : Number(arg.value));
  });
  return bound;
}

const SYMBOLS: Partial<Record<BinaryOp, string>> = { add: "+", sub: "-", mul: "*", and: "&", or: "|", xor: "^", shl: "<<", shr: ">>" };

function integerBinary(op: BinaryOp, a: string, b: string): string {
  switch (op) {
    case "div":
      return `Math.trunc(${a} / ${b})`;
    case "rem":
      return `(${a} % ${b})`;
    case "min":
      return `Math.min(${a}, ${b})`;
    case "max":
      return `Math.max(${a}, ${b})`;
    case "shru":
      return `((${a} >>> ${b}) | 0)`;
    case "wrapAdd":
      return `((${a} + ${b}) | 0)`;
    case "wrapSub":
      return `((${a} - ${b}) | 0)`;
    case "wrapMul":
      return `Math.imul(${a}, ${b})`;
    default:
      return `(${a} ${SYMBOLS[op]} ${b})`;
  }
}

function bigBinary(op: BinaryOp, a: string, b: string): string {
  switch (op) {
    case "div":
      return `BigInt.asIntN(64, ${a} / ${b})`;
    case "rem":
      return `(${a} % ${b})`;
    case "min":
      return `((x, y) => x < y ? x : y)(${a}, ${b})`;
    case "max":
      return `((x, y) => x > y ? x : y)(${a}, ${b})`;
    case "shru":
      return `BigInt.asIntN(64, BigInt.asUintN(64, ${a}) >> ${b})`;
    case "wrapAdd":
      return `BigInt.asIntN(64, ${a} + ${b})`;
    case "wrapSub":
      return `BigInt.asIntN(64, ${a} - ${b})`;
    case "wrapMul":
      return `BigInt.asIntN(64, ${a} * ${b})`;
    default:
      return `BigInt.asIntN(64, ${a} ${SYMBOLS[op]} ${b})`;
  }
}

function floatBinary(op: BinaryOp, a: string, b: string): string | null {
  switch (op) {
    case "add":
    case "sub":
    case "mul":
      return `Math.fround(${a} ${SYMBOLS[op]} ${b})`;
    case "div":
      return `Math.fround(${a} / ${b})`;
    case "min":
      return `((x, y) => x < y ? x : y)(${a}, ${b})`;
    case "max":
      return `((x, y) => x > y ? x : y)(${a}, ${b})`;
    default:
      return null;
  }
}

function binarySource(op: BinaryOp, type: ValueKind, a: string, b: string): string | null {
  if (type === "i32") return integerBinary(op, a, b);
  if (type === "i64") return bigBinary(op, a, b);
  return type === "f32" ? floatBinary(op, a, b) : null;
}

/** Bit reinterpretation and rounding to even never decide an address; they count as unknown. */
function unarySource(op: UnaryOp, type: ValueKind, a: string): string | null {
  if (op === "neg") return `(-${a})`;
  if (op === "abs") return type === "i64" ? `((x) => x < 0n ? -x : x)(${a})` : `Math.abs(${a})`;
  if (op === "clz") return type === "i32" ? `Math.clz32(${a})` : null;
  if (type !== "f32") return null;
  if (op === "sqrt") return `Math.fround(Math.sqrt(${a}))`;
  if (op === "floor" || op === "ceil" || op === "trunc") return `Math.${op}(${a})`;
  return null;
}

function convertSource(from: ValueKind, to: ValueKind, a: string): string | null {
  if (from === to) return a;
  if (to === "i64") return from === "i32" ? `BigInt(${a})` : `BigInt(Math.trunc(${a}))`;
  if (to === "f32") return from === "i32" ? `Math.fround(${a})` : null;
  if (to === "i32") return from === "i64" ? `Number(BigInt.asIntN(32, ${a}))` : `Math.trunc(${a})`;
  return null;
}

const COMPARE = { eq: "===", ne: "!==", lt: "<", le: "<=", gt: ">", ge: ">=" } as const;

function all(parts: readonly (string | null)[]): parts is readonly string[] {
  return parts.every((part) => part !== null);
}

/** A call of a pure helper, as a function expression in place. */
function callSource(name: string, args: readonly string[], scope: ScalarScope): string | null {
  const func = scope.functions.get(name);
  if (func === undefined) return null;
  const params = new Map(func.params.map((param, i) => [param.name, i]));
  const inner: ScalarScope = {
    local: (local) => (local.startsWith("$") ? `a${params.get(local.slice(1))}` : `h_${local}`),
    scalars: new Map(),
    functions: scope.functions,
  };
  const lines: string[] = [];
  for (const stmt of func.body) {
    if (stmt.kind !== "let" && stmt.kind !== "var" && stmt.kind !== "assign" && stmt.kind !== "return") return null;
    const value = scalarSource(stmt.value, inner);
    if (value === null) return null;
    lines.push(stmt.kind === "return" ? `return ${value};` : `${stmt.kind === "assign" ? "" : "let "}h_${stmt.name} = ${value};`);
  }
  return `((${func.params.map((_, i) => `a${i}`).join(", ")}) => { ${lines.join(" ")} })(${args.join(", ")})`;
}

export function scalarSource(e: Expr, scope: ScalarScope): string | null {
  const node = e.node;
  switch (node.kind) {
    case "const":
      return literal(node.value);
    case "local":
      return scope.local(node.name);
    case "param": {
      const value = scope.scalars.get(node.name);
      return value === undefined ? scope.local(`$${node.name}`) : literal(value);
    }
    case "binary": {
      const [a, b] = [scalarSource(node.a, scope), scalarSource(node.b, scope)];
      return a === null || b === null ? null : binarySource(node.op, e.type, a, b);
    }
    case "compare": {
      const [a, b] = [scalarSource(node.a, scope), scalarSource(node.b, scope)];
      return a === null || b === null ? null : `(${a} ${COMPARE[node.op]} ${b} ? 1 : 0)`;
    }
    case "unary": {
      const a = scalarSource(node.a, scope);
      return a === null ? null : unarySource(node.op, e.type, a);
    }
    case "convert": {
      const a = scalarSource(node.a, scope);
      return a === null ? null : convertSource(node.a.type, e.type, a);
    }
    case "select": {
      const parts = [node.condition, node.a, node.b].map((part) => scalarSource(part, scope));
      return all(parts) ? `(${parts[0]} !== 0 ? ${parts[1]} : ${parts[2]})` : null;
    }
    case "call": {
      const args = node.args.map((arg) => scalarSource(arg, scope));
      return all(args) ? callSource(node.func, args, scope) : null;
    }
    default:
      return null;
  }
}

/** The parts of an expression, in order of evaluation. */
export function childrenOf(e: Expr): readonly Expr[] {
  const node = e.node;
  switch (node.kind) {
    case "load":
    case "loadWord":
      return [node.index];
    case "vectorLoad":
      return node.stride === undefined ? [node.index] : [node.index, node.stride];
    case "binary":
    case "compare":
      return [node.a, node.b];
    case "unary":
    case "convert":
      return [node.a];
    case "select":
      return [node.condition, node.a, node.b];
    case "call":
    case "intrinsic":
    case "vector":
      return node.args;
    default:
      return [];
  }
}
