import { type BufferRef, type Expr, type Func, type Stmt, VECTOR_STORE_BYTES } from "../loops/index.ts";
import { eachLoad, elementBytes, ownExpressions } from "./access.ts";
import { exactnessOf, localName, neededNames, scopeOf } from "./exactness.ts";
import { childrenOf, scalarSource, type ScalarScope } from "./scalar.ts";

/**
 * What generated code calls, by the position of the parameter. Indices count elements; `bytes` are those of one
 * access. A null index in the kernel (it depends on data) becomes `all` or `ownAll`.
 */
export interface ReplayTarget {
  read(param: number, index: number, bytes: number): void;
  /** `count` reads at index, index + stride, … */
  readRun(param: number, index: number, stride: number, count: number, bytes: number): void;
  readAll(param: number): void;
  write(param: number, index: number, bytes: number): void;
  writeAll(param: number): void;
}

/** Whether an index grows evenly with the loop variable. */
function isAffine(e: Expr, variable: string): boolean {
  const node = e.node;
  if (!mentions(e, variable)) return true;
  if (node.kind === "local") return true;
  if (node.kind !== "binary") return false;
  if (node.op === "add" || node.op === "sub") return isAffine(node.a, variable) && isAffine(node.b, variable);
  if (node.op !== "mul") return false;
  return mentions(node.a, variable) ? !mentions(node.b, variable) && isAffine(node.a, variable) : isAffine(node.b, variable);
}

function mentions(e: Expr, variable: string): boolean {
  return e.node.kind === "local" ? e.node.name === variable : childrenOf(e).some((child) => mentions(child, variable));
}

/**
 * Writes a kernel's accesses, and nothing else, as JavaScript: all loops run, only index arithmetic is computed.
 * Where data decides a condition both branches run, one after the other; where it decides an index, the whole
 * buffer counts as accessed; where it decides how often a loop runs, the loop runs twice.
 */
export class ReplayWriter {
  readonly lines: string[] = [];
  private readonly exact: ReadonlySet<string>;
  private readonly needed: ReadonlySet<string>;
  private readonly scope: ScalarScope;
  private readonly params: ReadonlyMap<string, number>;
  private branches = 0;

  constructor(func: Func, scalars: ReadonlyMap<string, number | bigint>, functions: ReadonlyMap<string, Func>) {
    this.exact = exactnessOf(func.body, scalars, functions, () => true).names;
    this.needed = neededNames(func.body);
    this.scope = scopeOf(this.exact, scalars, functions);
    this.params = new Map(func.params.map((param, i) => [param.name, i]));
    this.block(func.body);
  }

  private block(body: readonly Stmt[]): void {
    for (const stmt of body) this.stmt(stmt);
  }

  private stmt(stmt: Stmt): void {
    for (const e of ownExpressions(stmt)) this.loads(e);
    switch (stmt.kind) {
      case "let":
      case "var":
      case "assign":
        this.local(stmt);
        break;
      case "store":
        this.store(stmt.buffer, stmt.index, elementBytes(stmt.buffer));
        break;
      case "vectorStore":
        this.store(stmt.buffer, stmt.index, VECTOR_STORE_BYTES[stmt.form]);
        break;
      case "for":
        this.loop(stmt);
        break;
      case "if":
        this.branch(stmt);
        break;
      case "copy":
        this.copy(stmt);
        break;
      case "return":
        break;
    }
  }

  private local(stmt: Stmt & { kind: "let" | "var" | "assign" }): void {
    if (!this.exact.has(stmt.name) || !this.needed.has(stmt.name)) return;
    const keyword = stmt.kind === "let" ? "const " : stmt.kind === "var" ? "let " : "";
    this.lines.push(`${keyword}${localName(stmt.name)} = ${scalarSource(stmt.value, this.scope)};`);
  }

  private loads(e: Expr): void {
    eachLoad(e, (buffer, index, bytes) => {
      const param = this.params.get(buffer.name)!;
      const source = scalarSource(index, this.scope);
      this.lines.push(source === null ? `to.readAll(${param});` : `to.read(${param}, ${source}, ${bytes});`);
    });
  }

  private store(buffer: BufferRef, index: Expr, bytes: number): void {
    const param = this.params.get(buffer.name)!;
    const source = scalarSource(index, this.scope);
    this.lines.push(source === null ? `to.writeAll(${param});` : `to.write(${param}, ${source}, ${bytes});`);
  }

  private copy(stmt: Stmt & { kind: "copy" }): void {
    const size = elementBytes(stmt.to);
    const count = scalarSource(stmt.count, this.scope);
    const [from, to] = [this.params.get(stmt.from.name)!, this.params.get(stmt.to.name)!];
    const [source, target] = [scalarSource(stmt.fromIndex, this.scope), scalarSource(stmt.toIndex, this.scope)];
    const guard = count === null ? "" : `if (${count} > 0) `;
    this.lines.push(source === null || count === null ? `to.readAll(${from});` : `${guard}to.read(${from}, ${source}, ${count} * ${size});`);
    this.lines.push(target === null || count === null ? `to.writeAll(${to});` : `${guard}to.write(${to}, ${target}, ${count} * ${size});`);
  }

  private branch(stmt: Stmt & { kind: "if" }): void {
    const condition = scalarSource(stmt.condition, this.scope);
    const id = this.branches++;
    if (condition !== null) this.lines.push(`const c${id} = ${condition} !== 0;`);
    for (const [test, body] of [
      [`c${id}`, stmt.body],
      [`!c${id}`, stmt.otherwise],
    ] as const) {
      if (body.length === 0) continue;
      this.lines.push(condition === null ? "{" : `if (${test}) {`);
      this.block(body);
      this.lines.push("}");
    }
  }

  private loop(stmt: Stmt & { kind: "for" }): void {
    if (!this.exact.has(stmt.name)) {
      this.lines.push("for (let round = 0; round < 2; round++) {");
      this.block(stmt.body);
      this.lines.push("}");
      return;
    }
    const [from, to] = [scalarSource(stmt.from, this.scope), scalarSource(stmt.to, this.scope)];
    const name = localName(stmt.name);
    if (this.isRun(stmt)) {
      this.lines.push(`{ const ${name} = ${from}, n = Math.ceil((${to} - ${name}) / ${stmt.step}); if (n > 0) {`);
      for (const inner of stmt.body) this.runs(inner, stmt);
      this.lines.push("} }");
      return;
    }
    this.lines.push(`for (let ${name} = ${from}, ${name}$end = ${to}; ${name} < ${name}$end; ${name} += ${stmt.step}) {`);
    this.block(stmt.body);
    this.lines.push("}");
  }

  /** Innermost loops that only read, at evenly spaced places, are one call: the order of reads does not matter. */
  private isRun(loop: Stmt & { kind: "for" }): boolean {
    return loop.body.every((stmt) => {
      if (stmt.kind !== "let" && stmt.kind !== "assign") return false;
      if (this.exact.has(stmt.name) && this.needed.has(stmt.name)) return false;
      let even = true;
      eachLoad(stmt.value, (_, index) => {
        even &&= isAffine(index, loop.name);
      });
      return even;
    });
  }

  private runs(stmt: Stmt, loop: Stmt & { kind: "for" }): void {
    const next: ScalarScope = {
      ...this.scope,
      local: (name) => (name === loop.name ? `(${localName(name)} + ${loop.step})` : this.scope.local(name)),
    };
    for (const e of ownExpressions(stmt)) {
      eachLoad(e, (buffer, index, bytes) => {
        const param = this.params.get(buffer.name)!;
        const [first, second] = [scalarSource(index, this.scope), scalarSource(index, next)];
        this.lines.push(first === null ? `to.readAll(${param});` : `to.readRun(${param}, ${first}, ${second} - ${first}, n, ${bytes});`);
      });
    }
  }
}
