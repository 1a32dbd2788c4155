import type { Expr, Func, Stmt } from "../loops/index.ts";
import { eachLoad, eachStmt, ownExpressions } from "./access.ts";
import { childrenOf, scalarSource, type ScalarScope } from "./scalar.ts";

/** Names of locals and loops whose values follow from the loops alone, not from data. */
export interface Exactness {
  readonly names: ReadonlySet<string>;
  isExact(e: Expr): boolean;
}

/** The JavaScript name of a local. */
export function localName(name: string): string {
  return `v_${name.replace(/\W/g, "_")}`;
}

export function scopeOf(
  names: ReadonlySet<string>,
  scalars: ReadonlyMap<string, number | bigint>,
  functions: ReadonlyMap<string, Func>,
): ScalarScope {
  return { local: (name) => (names.has(name) ? localName(name) : null), scalars, functions };
}

function collectNames(body: readonly Stmt[], enumerated: (loop: Stmt) => boolean, names: Set<string>): void {
  for (const stmt of body) {
    if (stmt.kind === "let" || stmt.kind === "var") names.add(stmt.name);
    if (stmt.kind === "if") for (const block of [stmt.body, stmt.otherwise]) collectNames(block, enumerated, names);
    if (stmt.kind !== "for") continue;
    if (enumerated(stmt)) names.add(stmt.name);
    collectNames(stmt.body, enumerated, names);
  }
}

/**
 * Starts from "everything is exact" and strikes out what is not until nothing changes: a local that is
 * computed from data, or assigned where control depends on data or on a loop that is not enumerated.
 */
export function exactnessOf(
  body: readonly Stmt[],
  scalars: ReadonlyMap<string, number | bigint>,
  functions: ReadonlyMap<string, Func>,
  enumerated: (loop: Stmt) => boolean,
): Exactness {
  const names = new Set<string>();
  collectNames(body, enumerated, names);
  const scope = scopeOf(names, scalars, functions);
  const isExact = (e: Expr): boolean => scalarSource(e, scope) !== null;
  const strike = (block: readonly Stmt[], certain: boolean): void => {
    for (const stmt of block) {
      if (stmt.kind === "let" || stmt.kind === "var") {
        if (!isExact(stmt.value)) names.delete(stmt.name);
      } else if (stmt.kind === "assign") {
        if (!certain || !isExact(stmt.value)) names.delete(stmt.name);
      } else if (stmt.kind === "if") {
        const inner = certain && isExact(stmt.condition);
        strike(stmt.body, inner);
        strike(stmt.otherwise, inner);
      } else if (stmt.kind === "for") {
        if (!isExact(stmt.from) || !isExact(stmt.to)) names.delete(stmt.name);
        strike(stmt.body, certain && names.has(stmt.name));
      }
    }
  };
  for (let before = -1; before !== names.size; ) {
    before = names.size;
    strike(body, true);
  }
  return { names, isExact };
}

/** Locals that addresses or control hang on; the others need not be computed to follow the accesses. */
export function neededNames(body: readonly Stmt[]): Set<string> {
  const needed = new Set<string>();
  const take = (e: Expr): void => {
    if (e.node.kind === "local") needed.add(e.node.name);
    for (const child of childrenOf(e)) take(child);
  };
  for (let before = -1; before !== needed.size; ) {
    before = needed.size;
    eachStmt(body, (stmt) => {
      for (const e of ownExpressions(stmt)) eachLoad(e, (_, index) => take(index));
      if (stmt.kind === "store" || stmt.kind === "vectorStore") take(stmt.index);
      else if (stmt.kind === "for" || stmt.kind === "if" || stmt.kind === "copy") ownExpressions(stmt).forEach(take);
      else if (stmt.kind !== "return" && needed.has(stmt.name)) take(stmt.value);
    });
  }
  return needed;
}
