import { type BufferRef, type Expr, type Func, type Stmt, VECTOR_STORE_BYTES } from "../loops/index.ts";
import { eachLoad, elementBytes, ownExpressions } from "./access.ts";
import { exactnessOf, localName, neededNames, scopeOf } from "./exactness.ts";
import { mayBeFalse, mayBeTrue, RangeWriter } from "./interval.ts";
import { scalarSource, type ScalarScope } from "./scalar.ts";

/** What the buffers of a kernel are to the analysis, by parameter name. */
export interface Roles {
  /** Inputs that die here: indices into the list of inputs looked at, with their bytes. */
  readonly inputs: ReadonlyMap<string, { index: number; bytes: number }>;
  /** Outputs that are born here. */
  readonly outputs: ReadonlyMap<string, { index: number; bytes: number }>;
}

export interface TraceContext {
  readonly scalars: ReadonlyMap<string, number | bigint>;
  readonly functions: ReadonlyMap<string, Func>;
  readonly roles: Roles;
  /** Loops to run iteration by iteration; the others are taken as one unit over the interval of their variable. */
  enumerated(loop: Stmt): boolean;
}

/** Locals that get a range: those never assigned, and the variables of loops that are not enumerated. */
function rangedNames(body: readonly Stmt[], exact: ReadonlySet<string>, into: Set<string>): Set<string> {
  for (const stmt of body) {
    if (((stmt.kind === "let" && stmt.value.type === "i32") || stmt.kind === "for") && !exact.has(stmt.name)) into.add(stmt.name);
    if (stmt.kind === "for") rangedNames(stmt.body, exact, into);
    if (stmt.kind === "if") for (const block of [stmt.body, stmt.otherwise]) rangedNames(block, exact, into);
  }
  return into;
}

/**
 * Writes the code that walks a kernel's accesses in order. In the code, W0j and W1j are the lowest and the highest
 * byte of output j written so far. A read of input i comes after all of that, so it raises Di_j, the distance by
 * which output j must at least lie below input i, and Ui_j, the distance by which it must at least lie above.
 */
export class TraceWriter {
  private readonly context: TraceContext;
  private readonly exact: ReadonlySet<string>;
  /** Whether an expression follows from the loops alone; an index that data decides counts as the whole buffer, as in the checker. */
  private readonly followed: (e: Expr) => boolean;
  private readonly needed: ReadonlySet<string>;
  private readonly ranges: RangeWriter;
  private readonly scope: ScalarScope;
  readonly lines: string[] = [];
  private branches = 0;

  constructor(body: readonly Stmt[], context: TraceContext) {
    this.context = context;
    this.exact = exactnessOf(body, context.scalars, context.functions, (loop) => context.enumerated(loop)).names;
    this.followed = exactnessOf(body, context.scalars, context.functions, () => true).isExact;
    this.needed = neededNames(body);
    this.scope = scopeOf(this.exact, context.scalars, context.functions);
    this.ranges = new RangeWriter(this.scope, rangedNames(body, this.exact, new Set()), this.lines);
    this.block(body);
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
        this.write(stmt.buffer, stmt.index, elementBytes(stmt.buffer));
        break;
      case "vectorStore":
        this.write(stmt.buffer, stmt.index, VECTOR_STORE_BYTES[stmt.form]);
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
    if (!this.needed.has(stmt.name)) return;
    const name = localName(stmt.name);
    if (!this.exact.has(stmt.name)) {
      if (stmt.kind !== "let" || stmt.value.type !== "i32") return;
      const { low, high } = this.ranges.range(stmt.value);
      this.lines.push(`const ${name}$l = ${low}, ${name}$h = ${high};`);
      return;
    }
    const keyword = stmt.kind === "let" ? "const " : stmt.kind === "var" ? "let " : "";
    this.lines.push(`${keyword}${name} = ${this.source(stmt.value)};`);
  }

  private source(e: Expr): string {
    return exactSource(e, this.scope);
  }

  private loads(e: Expr): void {
    eachLoad(e, (buffer, index, bytes) => this.read(buffer, index, bytes));
  }

  /** Code for the bytes [l, h) that an access can touch. What lies outside the buffer is never executed. */
  private bytesOf(buffer: BufferRef, index: Expr, bytes: number, limit: number): string {
    if (!this.followed(index)) return `const l = 0, h = ${limit};`;
    const { low, high } = this.ranges.range(index);
    const size = elementBytes(buffer);
    return `const l = Math.max(0, ${low} * ${size}), h = Math.min(${limit}, ${high} * ${size} + ${bytes});`;
  }

  private read(buffer: BufferRef, index: Expr, bytes: number): void {
    const role = this.context.roles.inputs.get(buffer.name);
    if (role === undefined) return;
    const span = this.bytesOf(buffer, index, bytes, role.bytes);
    this.lines.push(`{ ${span} ${this.meet(role.index)} }`);
  }

  private meet(input: number): string {
    const outputs = new Set([...this.context.roles.outputs.values()].map((o) => o.index));
    const each = [...outputs].map(
      (j) => `if (W1${j} - l > D${input}_${j}) D${input}_${j} = W1${j} - l; if (h - W0${j} > U${input}_${j}) U${input}_${j} = h - W0${j};`,
    );
    return `if (l < h) { ${each.join(" ")} }`;
  }

  private write(buffer: BufferRef, index: Expr, bytes: number): void {
    const role = this.context.roles.outputs.get(buffer.name);
    if (role === undefined) return;
    const span = this.bytesOf(buffer, index, bytes, role.bytes);
    this.lines.push(`{ ${span} ${wrote(role.index)} }`);
  }

  private copy(stmt: Stmt & { kind: "copy" }): void {
    const count = this.ranges.range(stmt.count);
    const size = elementBytes(stmt.to);
    const span = (index: Expr, limit: number): string => {
      if (!this.followed(index) || !this.followed(stmt.count)) return `const l = 0, h = ${limit};`;
      const { low, high } = this.ranges.range(index);
      return `const l = Math.max(0, ${low} * ${size}), h = Math.min(${limit}, (${high} + ${count.high}) * ${size});`;
    };
    const from = this.context.roles.inputs.get(stmt.from.name);
    const to = this.context.roles.outputs.get(stmt.to.name);
    // memmove reads everything before it writes, as far as anyone can tell.
    if (from !== undefined) this.lines.push(`{ ${span(stmt.fromIndex, from.bytes)} ${this.meet(from.index)} }`);
    if (to !== undefined) this.lines.push(`{ ${span(stmt.toIndex, to.bytes)} ${wrote(to.index)} }`);
  }

  private branch(stmt: Stmt & { kind: "if" }): void {
    const c = this.ranges.range(stmt.condition);
    const id = this.branches++;
    // Both answers are taken before either branch runs: a branch may assign what the condition reads.
    this.lines.push(`const yes${id} = ${mayBeTrue(c)}, no${id} = ${mayBeFalse(c)};`);
    for (const [test, body] of [
      ["yes", stmt.body],
      ["no", stmt.otherwise],
    ] as const) {
      if (body.length === 0) continue;
      this.lines.push(`if (${test}${id}) {`);
      this.block(body);
      this.lines.push("}");
    }
  }

  private loop(stmt: Stmt & { kind: "for" }): void {
    const name = localName(stmt.name);
    if (this.exact.has(stmt.name)) {
      const to = `${name}$end`;
      this.lines.push(`for (let ${name} = ${this.source(stmt.from)}, ${to} = ${this.source(stmt.to)}; ${name} < ${to}; ${name} += ${stmt.step}) {`);
      this.lines.push("if (--budget < 0) return null;");
      this.block(stmt.body);
      this.lines.push("}");
      return;
    }
    const from = this.ranges.range(stmt.from);
    const to = this.ranges.range(stmt.to);
    // From an exact start the last value is on the loop's grid; else it is only below the end.
    const last =
      from.low === from.high && stmt.step > 1
        ? `${from.low} + Math.floor((${to.high} - 1 - ${from.low}) / ${stmt.step}) * ${stmt.step}`
        : `${to.high} - 1`;
    this.lines.push(`if (${from.low} < ${to.high}) { const ${name}$l = ${from.low}, ${name}$h = ${last};`);
    // Twice: what one iteration writes lies before what another one reads.
    this.lines.push("for (let round = 0; round < 2; round++) {");
    this.block(stmt.body);
    this.lines.push("} }");
  }
}

function wrote(output: number): string {
  return `if (l < h) { if (l < W0${output}) W0${output} = l; if (h > W1${output}) W1${output} = h; }`;
}

function exactSource(e: Expr, scope: ScalarScope): string {
  const source = scalarSource(e, scope);
  if (source === null) throw new Error("an exact expression lost its source");
  return source;
}
