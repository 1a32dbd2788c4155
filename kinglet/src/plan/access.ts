import { type BufferRef, type Expr, MEMORY_BYTES, type MemoryType, type Stmt } from "../loops/index.ts";
import { childrenOf } from "./scalar.ts";

/** Bytes that a load expression reads, or 0 where it is none. */
function loadBytes(e: Expr): number {
  const node = e.node;
  if (node.kind === "load") return MEMORY_BYTES[node.buffer.type];
  if (node.kind === "loadWord") return 4;
  if (node.kind !== "vectorLoad") return 0;
  if (node.form === "splat") return MEMORY_BYTES[node.buffer.type];
  if (node.form === "full") return node.count ?? 16;
  return { splatWord: 4, widen4s: 4, widen8s: 8, widen8u: 8, gather: 4 }[node.form];
}

export function elementBytes(buffer: { readonly type: MemoryType }): number {
  return MEMORY_BYTES[buffer.type];
}

/** The loads in an expression, in an order that a machine could take; an index's own loads come first. */
export function eachLoad(e: Expr, visit: (buffer: BufferRef, index: Expr, bytes: number) => void): void {
  for (const child of childrenOf(e)) eachLoad(child, visit);
  const node = e.node;
  if (node.kind === "vectorLoad" && node.form === "gather") {
    for (let lane = 0; lane < 4; lane++) visit(node.buffer, node.index.add(node.stride!.mul(lane)), MEMORY_BYTES[node.buffer.type]);
  } else if (node.kind === "load" || node.kind === "loadWord" || node.kind === "vectorLoad") visit(node.buffer, node.index, loadBytes(e));
}

/** The expressions a statement evaluates itself (not those of nested statements), in order. */
export function ownExpressions(stmt: Stmt): readonly Expr[] {
  switch (stmt.kind) {
    case "let":
    case "var":
    case "assign":
    case "return":
      return [stmt.value];
    case "store":
      return [stmt.index, stmt.value];
    case "vectorStore":
      return [stmt.index, stmt.value, ...(stmt.rest ?? [])];
    case "for":
      return [stmt.from, stmt.to];
    case "if":
      return [stmt.condition];
    case "copy":
      return [stmt.toIndex, stmt.fromIndex, stmt.count];
  }
}

export function nested(stmt: Stmt): readonly (readonly Stmt[])[] {
  return stmt.kind === "for" ? [stmt.body] : stmt.kind === "if" ? [stmt.body, stmt.otherwise] : [];
}

export function eachStmt(body: readonly Stmt[], visit: (stmt: Stmt) => void): void {
  for (const stmt of body) {
    visit(stmt);
    for (const block of nested(stmt)) eachStmt(block, visit);
  }
}
