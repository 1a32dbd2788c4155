import { Expr, type ExprNode, i32 } from "./expr.ts";
import type { Func, Stmt } from "./program.ts";
import { type Range, rangeOf } from "./range.ts";

interface Scope {
  /** Locals and parameters whose value is known. */
  readonly known: Map<string, Expr>;
  readonly ranges: Map<string, Range>;
}

function numberOf(e: Expr): number | undefined {
  return e.type === "i32" && e.node.kind === "const" ? (e.node.value as number) : undefined;
}

function isPower(value: number): boolean {
  return value > 0 && (value & (value - 1)) === 0;
}

function foldArithmetic(op: string, a: number, b: number): number | undefined {
  switch (op) {
    case "add":
    case "wrapAdd":
      return (a + b) | 0;
    case "sub":
    case "wrapSub":
      return (a - b) | 0;
    case "mul":
    case "wrapMul":
      return Math.imul(a, b);
    case "div":
      return (a / b) | 0;
    case "rem":
      return (a % b) | 0;
    case "min":
      return Math.min(a, b);
    case "max":
      return Math.max(a, b);
    case "and":
      return a & b;
    case "or":
      return a | b;
    case "xor":
      return a ^ b;
    case "shl":
      return a << b;
    case "shr":
      return a >> b;
    case "shru":
      return (a >>> b) | 0;
    default:
      return undefined;
  }
}

/** Rules where the right operand is a constant. */
function foldRight(op: string, a: Expr, b: number): Expr | undefined {
  if (b === 0 && (op === "add" || op === "sub" || op === "wrapAdd" || op === "wrapSub" || op === "or" || op.startsWith("sh"))) return a;
  if (op === "mul" && b === 0) return i32(0);
  if ((op === "mul" || op === "div") && b === 1) return a;
  if (op === "sub") return foldAdd(a, -b);
  if (op === "add") return foldAdd(a, b);
  return undefined;
}

/** (x + c) + d → x + (c + d) */
function foldAdd(a: Expr, b: number): Expr {
  if (a.node.kind === "binary" && a.node.op === "add") {
    const c = numberOf(a.node.b);
    if (c !== undefined) return c + b === 0 ? a.node.a : a.node.a.add(c + b);
  }
  return a.add(b);
}

function foldMinMax(op: string, a: Expr, b: Expr, scope: Scope): Expr | undefined {
  const ra = rangeOf(a, scope.ranges);
  const rb = rangeOf(b, scope.ranges);
  if (op === "min") return ra.high <= rb.low ? a : rb.high <= ra.low ? b : undefined;
  if (op === "max") return ra.low >= rb.high ? a : rb.low >= ra.high ? b : undefined;
  return undefined;
}

const COMMUTES = new Set(["add", "mul", "and", "or", "xor", "min", "max", "wrapAdd", "wrapMul"]);

function foldBinary(node: Extract<ExprNode, { kind: "binary" }>, type: Expr["type"], scope: Scope): Expr | undefined {
  if (type !== "i32") return undefined;
  const { op } = node;
  const left = numberOf(node.a);
  const right = numberOf(node.b);
  if (left !== undefined && right !== undefined && !((op === "div" || op === "rem") && right === 0)) {
    const value = foldArithmetic(op, left, right);
    if (value !== undefined) return i32(value);
  }
  if (left !== undefined && right === undefined && COMMUTES.has(op)) {
    const swapped = { ...node, a: node.b, b: node.a };
    return foldBinary(swapped, type, scope) ?? new Expr(type, swapped);
  }
  if (op === "div" && right !== undefined && isPower(right) && right > 1 && rangeOf(node.a, scope.ranges).low >= 0) {
    return node.a.shr(Math.log2(right));
  }
  return (right === undefined ? undefined : foldRight(op, node.a, right)) ?? foldMinMax(op, node.a, node.b, scope);
}

function foldCompare(node: Extract<ExprNode, { kind: "compare" }>, scope: Scope): Expr | undefined {
  if (node.a.type !== "i32") return undefined;
  const a = rangeOf(node.a, scope.ranges);
  const b = rangeOf(node.b, scope.ranges);
  const decided = (yes: boolean, no: boolean): Expr | undefined => (yes ? i32(1) : no ? i32(0) : undefined);
  switch (node.op) {
    case "lt":
      return decided(a.high < b.low, a.low >= b.high);
    case "le":
      return decided(a.high <= b.low, a.low > b.high);
    case "gt":
      return decided(a.low > b.high, a.high <= b.low);
    case "ge":
      return decided(a.low >= b.high, a.high < b.low);
    case "eq":
      return decided(a.low === a.high && b.low === b.high && a.low === b.low, a.high < b.low || a.low > b.high);
    case "ne":
      return decided(a.high < b.low || a.low > b.high, a.low === a.high && b.low === b.high && a.low === b.low);
    default:
      return node.op satisfies never;
  }
}

/** Rebuilds an expression with `visit` applied to its operands. */
export function mapOperands(e: Expr, visit: (operand: Expr) => Expr): Expr {
  const node = e.node;
  switch (node.kind) {
    case "const":
    case "local":
    case "param":
      return e;
    case "load":
    case "loadWord":
      return new Expr(e.type, { ...node, index: visit(node.index) });
    case "vectorLoad":
      return new Expr(e.type, { ...node, index: visit(node.index), ...(node.stride === undefined ? {} : { stride: visit(node.stride) }) });
    case "binary":
    case "compare":
      return new Expr(e.type, { ...node, a: visit(node.a), b: visit(node.b) });
    case "unary":
    case "convert":
      return new Expr(e.type, { ...node, a: visit(node.a) });
    case "select":
      return new Expr(e.type, { ...node, condition: visit(node.condition), a: visit(node.a), b: visit(node.b) });
    case "call":
    case "intrinsic":
    case "vector":
      return new Expr(e.type, { ...node, args: node.args.map(visit) });
    default:
      return node satisfies never;
  }
}

function simplifyExpr(e: Expr, scope: Scope): Expr {
  if (e.node.kind === "local" || e.node.kind === "param") return scope.known.get(e.node.name) ?? e;
  const mapped = mapOperands(e, (operand) => simplifyExpr(operand, scope));
  const node = mapped.node;
  if (node.kind === "binary") return foldBinary(node, mapped.type, scope) ?? mapped;
  if (node.kind === "compare") return foldCompare(node, scope) ?? mapped;
  if (node.kind === "select") {
    const condition = numberOf(node.condition);
    if (condition !== undefined) return condition !== 0 ? node.a : node.b;
  }
  if (node.kind === "convert" && node.a.node.kind === "const" && node.a.type === "i32" && mapped.type !== "i32") {
    return new Expr(mapped.type, {
      kind: "const",
      value: mapped.type === "i64" ? BigInt(node.a.node.value) : Math.fround(Number(node.a.node.value)),
    });
  }
  return mapped;
}

function simplifyLet(stmt: Extract<Stmt, { kind: "let" }>, scope: Scope): Stmt[] {
  const value = simplifyExpr(stmt.value, scope);
  const kind = value.node.kind;
  if (kind === "const" || kind === "param") {
    scope.known.set(stmt.name, value);
    return [];
  }
  if (value.type === "i32") scope.ranges.set(stmt.name, rangeOf(value, scope.ranges));
  return [{ ...stmt, value }];
}

function simplifyFor(stmt: Extract<Stmt, { kind: "for" }>, scope: Scope): Stmt[] {
  const from = simplifyExpr(stmt.from, scope);
  const to = simplifyExpr(stmt.to, scope);
  const first = numberOf(from);
  const end = numberOf(to);
  if (first !== undefined && end !== undefined) {
    if (first >= end) return [];
    // One turn is one thread's, and where the others wait for it they do so still.
    if (first + stmt.step >= end && stmt.meets !== true) {
      scope.known.set(stmt.name, i32(first));
      return simplifyBlock(stmt.body, scope);
    }
  }
  const low = rangeOf(from, scope.ranges).low;
  scope.ranges.set(stmt.name, { low, high: Math.max(low, rangeOf(to, scope.ranges).high - 1) });
  const body = simplifyBlock(stmt.body, scope);
  return body.length === 0 ? [] : [{ ...stmt, from, to, body }];
}

function simplifyIf(stmt: Extract<Stmt, { kind: "if" }>, scope: Scope): Stmt[] {
  const condition = simplifyExpr(stmt.condition, scope);
  const value = numberOf(condition);
  if (value !== undefined) return simplifyBlock(value !== 0 ? stmt.body : stmt.otherwise, scope);
  const body = simplifyBlock(stmt.body, scope);
  const otherwise = simplifyBlock(stmt.otherwise, scope);
  return body.length + otherwise.length === 0 ? [] : [{ ...stmt, condition, body, otherwise }];
}

function simplifyStmt(stmt: Stmt, scope: Scope): Stmt[] {
  const visit = (e: Expr): Expr => simplifyExpr(e, scope);
  switch (stmt.kind) {
    case "let":
      return simplifyLet(stmt, scope);
    case "var":
    case "assign":
    case "return":
      return [{ ...stmt, value: visit(stmt.value) }];
    case "store":
      return [{ ...stmt, index: visit(stmt.index), value: visit(stmt.value) }];
    case "vectorStore":
      return [{ ...stmt, index: visit(stmt.index), value: visit(stmt.value), ...(stmt.rest === undefined ? {} : { rest: stmt.rest.map(visit) }) }];
    case "copy":
      return [{ ...stmt, toIndex: visit(stmt.toIndex), fromIndex: visit(stmt.fromIndex), count: visit(stmt.count) }];
    case "for":
      return simplifyFor(stmt, scope);
    case "if":
      return simplifyIf(stmt, scope);
    default:
      return stmt satisfies never;
  }
}

function simplifyBlock(body: readonly Stmt[], scope: Scope): Stmt[] {
  return body.flatMap((stmt) => simplifyStmt(stmt, scope));
}

/**
 * Puts known parameter values in place and folds what follows from them: constants, comparisons that ranges
 * decide (padding checks of a layer without padding), loops of one turn, dead branches.
 */
export function specialise(func: Func, values: ReadonlyMap<string, Expr>): Func {
  const scope: Scope = { known: new Map(values), ranges: new Map() };
  const body = simplifyBlock(func.body, scope);
  return { ...func, params: func.params.filter((param) => !values.has(param.name)), body };
}
