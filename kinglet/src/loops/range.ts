import type { Expr } from "./expr.ts";
import type { MemoryType } from "./types.ts";

/** All values an i32 expression can take lie in [low, high]. */
export interface Range {
  readonly low: number;
  readonly high: number;
}

export const UNKNOWN: Range = { low: -(2 ** 31), high: 2 ** 31 - 1 };

const MEMORY_RANGE: Partial<Record<MemoryType, Range>> = {
  i8: { low: -128, high: 127 },
  u8: { low: 0, high: 255 },
  i16: { low: -32768, high: 32767 },
  u16: { low: 0, high: 65535 },
};

function clip(low: number, high: number): Range {
  return low < UNKNOWN.low || high > UNKNOWN.high ? UNKNOWN : { low, high };
}

function corners(a: Range, b: Range, f: (x: number, y: number) => number): Range {
  const all = [f(a.low, b.low), f(a.low, b.high), f(a.high, b.low), f(a.high, b.high)];
  return clip(Math.min(...all), Math.max(...all));
}

function binaryRange(op: string, a: Range, b: Range): Range {
  switch (op) {
    case "add":
      return clip(a.low + b.low, a.high + b.high);
    case "sub":
      return clip(a.low - b.high, a.high - b.low);
    case "mul":
      return corners(a, b, (x, y) => x * y);
    case "min":
      return { low: Math.min(a.low, b.low), high: Math.min(a.high, b.high) };
    case "max":
      return { low: Math.max(a.low, b.low), high: Math.max(a.high, b.high) };
    case "div":
      return b.low > 0 ? corners(a, b, (x, y) => Math.trunc(x / y)) : UNKNOWN;
    case "rem":
      return b.low > 0 ? { low: a.low < 0 ? 1 - b.high : 0, high: b.high - 1 } : UNKNOWN;
    case "and":
      return b.low >= 0 ? { low: 0, high: b.high } : UNKNOWN;
    case "shr":
      return b.low === b.high ? { low: a.low >> b.low, high: a.high >> b.low } : UNKNOWN;
    case "shl":
      return b.low === b.high ? clip(a.low * 2 ** b.low, a.high * 2 ** b.low) : UNKNOWN;
    default:
      return UNKNOWN;
  }
}

/** The range of an i32 expression, given ranges of its locals. Unknown parts are the whole of i32. */
export function rangeOf(e: Expr, locals: ReadonlyMap<string, Range>): Range {
  const node = e.node;
  if (e.type !== "i32") return UNKNOWN;
  switch (node.kind) {
    case "const":
      return { low: node.value as number, high: node.value as number };
    case "local":
    case "param":
      return locals.get(node.name) ?? UNKNOWN;
    case "load":
      return MEMORY_RANGE[node.buffer.type] ?? UNKNOWN;
    case "compare":
      return { low: 0, high: 1 };
    case "binary":
      return binaryRange(node.op, rangeOf(node.a, locals), rangeOf(node.b, locals));
    case "select": {
      const a = rangeOf(node.a, locals);
      const b = rangeOf(node.b, locals);
      return { low: Math.min(a.low, b.low), high: Math.max(a.high, b.high) };
    }
    default:
      return UNKNOWN;
  }
}
