import { bytesOf, mapInto } from "../base/index.ts";
import { type Expr, vectorLoad } from "./expr.ts";
import { FunctionBuilder } from "./kernel.ts";
import type { Func, Program, ProgramConstant } from "./program.ts";
import { vector } from "./vector.ts";

/** How a table comes into the module's memory. */
export interface StoredConstant {
  /** Where its stored bytes lie, from the table's own address. */
  readonly at: number;
  readonly bytes: Uint8Array;
  /** Set where 16-bit numbers are stored as bytes, less this. */
  readonly offset?: number;
}

const LANES = 8;

/**
 * 16-bit tables whose numbers lie within 256 of each other (weights that kernels want widened) are stored as bytes,
 * in the second half of their own place: widened from the front, each number is read before something is written there.
 */
export function storedConstant({ type, data }: ProgramConstant): StoredConstant {
  const plain = { at: 0, bytes: bytesOf(data) };
  if (type !== "i16" || data.length === 0 || data.length % LANES !== 0) return plain;
  let [low, high] = [0, 0];
  for (const value of data as Int16Array) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  if (high - low > 255) return plain;
  const offset = low >= -128 && high <= 127 ? 0 : low + 128;
  return { at: data.length, bytes: bytesOf(mapInto(new Int8Array(data.length), data as Int16Array, (value) => value - offset)), offset };
}

/** Bytes that the tables take in the module. */
export function wasmTableBytes(program: Program): number {
  return program.constants.reduce((sum, constant) => sum + storedConstant(constant).bytes.length, 0);
}

class Body extends FunctionBuilder {
  finish(): Func["body"] {
    return this.statements();
  }
}

// A blank keeps the name apart from every kernel's.
export const WIDEN = "widen table";

/** Adds `offset` to bytes and stores them with 16 bits. */
export function widenFunction(param: (name: string) => Expr): Func {
  const [from, to] = [
    { name: "from", type: "i8" },
    { name: "to", type: "i16" },
  ] as const;
  const body = new Body();
  const offsets = body.let("offsets", vector("i16x8.splat", [param("offset")]));
  body.for(
    "i",
    0,
    param("count"),
    (i) => {
      const value = vector("i16x8.add", [vectorLoad("i16x8", from, i, "widen8s"), offsets]);
      body.emit({ kind: "vectorStore", buffer: to, index: i, value, form: "full" });
    },
    LANES,
  );
  const params: Func["params"] = [
    { kind: "buffer", ...from, writes: false },
    { kind: "buffer", ...to, writes: true },
    { kind: "scalar", name: "count", type: "i32" },
    { kind: "scalar", name: "offset", type: "i32" },
  ];
  return { name: WIDEN, doc: "Widens a table.", params, result: null, body: body.finish(), uses: [] };
}
