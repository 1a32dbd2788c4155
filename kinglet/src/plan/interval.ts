import type { BinaryOp, CompareOp, Expr } from "../loops/index.ts";
import { localName } from "./exactness.ts";
import { scalarSource, type ScalarScope } from "./scalar.ts";

/** JavaScript sources of the least and greatest value; one and the same text where the value is exact. */
export interface Range {
  readonly low: string;
  readonly high: string;
}

const ANY: Range = { low: "-Infinity", high: "Infinity" };

/** Run-time helpers of generated code. 0 · ∞ is 0 here: an unknown factor is finite, only not known. */
function times(a: number, b: number): number {
  return a === 0 || b === 0 ? 0 : a * b;
}

function corners(
  pick: (...values: number[]) => number,
  f: (a: number, b: number) => number,
): (al: number, ah: number, bl: number, bh: number) => number {
  return (al, ah, bl, bh) => pick(f(al, bl), f(al, bh), f(ah, bl), f(ah, bh));
}

function quotient(a: number, b: number): number {
  return Number.isFinite(b) ? Math.trunc(a / b) : 0;
}

function remainderHigh(_al: number, ah: number, bl: number, bh: number): number {
  if (ah <= 0) return 0;
  return Math.min(ah, Math.max(Math.abs(bl), Math.abs(bh)) - 1);
}

function remainderIsSelf(al: number, ah: number, bl: number, bh: number): boolean {
  return bl === bh && al >= 0 && ah < Math.abs(bl);
}

function shiftable(bl: number, bh: number): boolean {
  return bl >= 0 && bh <= 31;
}

/** Left shifts keep their order only while no bit is lost. */
function shiftsUp(al: number, ah: number, bl: number, bh: number): boolean {
  return shiftable(bl, bh) && al >= 0 && ah * 2 ** bh < 2 ** 31;
}

const divLow = corners(Math.min, quotient);
const divHigh = corners(Math.max, quotient);

export const INTERVAL_HELPERS = {
  mulLow: corners(Math.min, times),
  mulHigh: corners(Math.max, times),
  divLow: (al: number, ah: number, bl: number, bh: number): number =>
    bl <= 0 && bh >= 0 ? -Math.max(Math.abs(al), Math.abs(ah)) : divLow(al, ah, bl, bh),
  divHigh: (al: number, ah: number, bl: number, bh: number): number =>
    bl <= 0 && bh >= 0 ? Math.max(Math.abs(al), Math.abs(ah)) : divHigh(al, ah, bl, bh),
  remLow: (al: number, ah: number, bl: number, bh: number): number => (remainderIsSelf(al, ah, bl, bh) ? al : -remainderHigh(-ah, -al, bl, bh)),
  remHigh: (al: number, ah: number, bl: number, bh: number): number => remainderHigh(al, ah, bl, bh),
  andLow: (al: number, _ah: number, bl: number): number => (al >= 0 || bl >= 0 ? 0 : -Infinity),
  andHigh: (al: number, ah: number, bl: number, bh: number): number => (al >= 0 ? (bl >= 0 ? Math.min(ah, bh) : ah) : bl >= 0 ? bh : Infinity),
  shlLow: (al: number, ah: number, bl: number, bh: number): number => (shiftsUp(al, ah, bl, bh) ? al * 2 ** bl : -Infinity),
  shlHigh: (al: number, ah: number, bl: number, bh: number): number => (shiftsUp(al, ah, bl, bh) ? ah * 2 ** bh : Infinity),
  shrLow: (al: number, _ah: number, bl: number, bh: number): number => (shiftable(bl, bh) ? Math.floor(al / 2 ** (al < 0 ? bl : bh)) : -Infinity),
  shrHigh: (_al: number, ah: number, bl: number, bh: number): number => (shiftable(bl, bh) ? Math.floor(ah / 2 ** (ah < 0 ? bh : bl)) : Infinity),
} as const;

const BY_HELPER: Partial<Record<BinaryOp, string>> = { mul: "mul", div: "div", rem: "rem", and: "and", shl: "shl", shr: "shr" };

/** Writes code that computes the ranges of i32 expressions; temporaries go to `lines`. */
export class RangeWriter {
  readonly lines: string[];
  private readonly scope: ScalarScope;
  /** Locals with a range; a local that is neither here nor exact can be anything. */
  private readonly ranged: ReadonlySet<string>;
  private temporaries = 0;

  constructor(scope: ScalarScope, ranged: ReadonlySet<string>, lines: string[]) {
    this.scope = scope;
    this.ranged = ranged;
    this.lines = lines;
  }

  private name(source: string): string {
    if (/^[\w$.]+$|^\(-?\d+\)$/.test(source)) return source;
    const name = `t${this.temporaries++}`;
    this.lines.push(`const ${name} = ${source};`);
    return name;
  }

  private pair(low: string, high: string): Range {
    return { low: this.name(low), high: this.name(high) };
  }

  range(e: Expr): Range {
    if (e.type === "i32") {
      const exact = scalarSource(e, this.scope);
      if (exact !== null) {
        const name = this.name(exact);
        return { low: name, high: name };
      }
    }
    const node = e.node;
    switch (node.kind) {
      case "local":
        return this.ranged.has(node.name) ? { low: `${localName(node.name)}$l`, high: `${localName(node.name)}$h` } : ANY;
      case "compare":
        return this.compare(node.op, node.a, node.b);
      case "binary":
        return e.type === "i32" ? this.binary(node.op, node.a, node.b) : ANY;
      case "select":
        return e.type === "i32" ? this.select(node.condition, node.a, node.b) : ANY;
      case "unary":
        return e.type === "i32" && node.op === "neg" ? this.negated(this.range(node.a)) : ANY;
      default:
        return ANY;
    }
  }

  private negated(a: Range): Range {
    return this.pair(`-(${a.high})`, `-(${a.low})`);
  }

  private binary(op: BinaryOp, left: Expr, right: Expr): Range {
    const a = this.range(left);
    const b = this.range(right);
    if (op === "add") return this.pair(`${a.low} + ${b.low}`, `${a.high} + ${b.high}`);
    if (op === "sub") return this.pair(`${a.low} - ${b.high}`, `${a.high} - ${b.low}`);
    if (op === "min" || op === "max") return this.pair(`Math.${op}(${a.low}, ${b.low})`, `Math.${op}(${a.high}, ${b.high})`);
    if ((op === "and" || op === "or") && isTruth(left) && isTruth(right)) {
      const pick = op === "and" ? "min" : "max";
      return this.pair(`Math.${pick}(${a.low}, ${b.low})`, `Math.${pick}(${a.high}, ${b.high})`);
    }
    const helper = BY_HELPER[op];
    if (helper === undefined) return ANY;
    const args = `${a.low}, ${a.high}, ${b.low}, ${b.high}`;
    return this.pair(`${helper}Low(${args})`, `${helper}High(${args})`);
  }

  private compare(op: CompareOp, left: Expr, right: Expr): Range {
    if (left.type !== "i32") return { low: "0", high: "1" };
    const [a, b] = [this.range(left), this.range(right)];
    const truth = (always: string, never: string): Range => this.pair(`(${always} ? 1 : 0)`, `(${never} ? 0 : 1)`);
    const same = `(${a.low} === ${a.high} && ${b.low} === ${b.high} && ${a.low} === ${b.low})`;
    const apart = `(${a.high} < ${b.low} || ${b.high} < ${a.low})`;
    switch (op) {
      case "lt":
        return truth(`${a.high} < ${b.low}`, `${a.low} >= ${b.high}`);
      case "le":
        return truth(`${a.high} <= ${b.low}`, `${a.low} > ${b.high}`);
      case "gt":
        return truth(`${a.low} > ${b.high}`, `${a.high} <= ${b.low}`);
      case "ge":
        return truth(`${a.low} >= ${b.high}`, `${a.high} < ${b.low}`);
      case "eq":
        return truth(same, apart);
      case "ne":
        return truth(apart, same);
    }
  }

  private select(condition: Expr, left: Expr, right: Expr): Range {
    const [c, a, b] = [this.range(condition), this.range(left), this.range(right)];
    const [yes, no] = [this.name(mayBeTrue(c)), this.name(mayBeFalse(c))];
    return this.pair(
      `(${yes} ? (${no} ? Math.min(${a.low}, ${b.low}) : ${a.low}) : ${b.low})`,
      `(${yes} ? (${no} ? Math.max(${a.high}, ${b.high}) : ${a.high}) : ${b.high})`,
    );
  }
}

export function mayBeTrue(c: Range): string {
  return `(${c.low} !== 0 || ${c.high} !== 0)`;
}

export function mayBeFalse(c: Range): string {
  return `(${c.low} <= 0 && ${c.high} >= 0)`;
}

/** Whether an expression is 0 or 1 by its form. */
function isTruth(e: Expr): boolean {
  const node = e.node;
  if (node.kind === "compare") return true;
  if (node.kind === "const") return node.value === 0 || node.value === 1;
  return node.kind === "binary" && (node.op === "and" || node.op === "or") && isTruth(node.a) && isTruth(node.b);
}
