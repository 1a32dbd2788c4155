import { describe, expect, it } from "vitest";
import { type TypedArray, Xorshift32 } from "../base/index.ts";
import { bitsToFloat, constant, type Expr, floatToBits, i32, i64, loadWord, vectorLoad } from "./expr.ts";
import { INTRINSICS, intrinsic, type IntrinsicName } from "./intrinsics.ts";
import { type Buffer, defineFunction, type KernelBuilder } from "./kernel.ts";
import { isVector, LANES, type MemoryType, type ValueKind } from "./types.ts";
import { vector, type VectorOpName, VECTOR_OPS, type VectorOp } from "./vector.ts";
import { expectSame, singleKernel, TestModule } from "./wasm-testing.ts";

const COUNT = 64;
const f = Math.fround;
const random = new Xorshift32(1234);

const INTS = [0, 1, -1, 2, 31, 255, -256, 0x7fffffff, -0x7fffffff, 0x12345678];
const FLOATS = [0, -0, 1, -1, 0.5, 1.5, 2.5, -2.5, -0.5, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 1e-42, 3e38, 16777217];

function ints(draw: () => number = () => random.next() | 0): Int32Array {
  return Int32Array.from({ length: COUNT }, (_, i) => (i % 4 === 0 ? INTS[random.int(0, INTS.length - 1)]! : draw()));
}
function longs(): BigInt64Array {
  return BigInt64Array.from(
    { length: COUNT },
    () => BigInt.asIntN(64, (BigInt(random.next()) << 32n) | BigInt(random.next())) >> BigInt(random.int(0, 63)),
  );
}
function floats(): Float32Array {
  return Float32Array.from({ length: COUNT }, (_, i) => (i % 2 === 0 ? FLOATS[random.int(0, FLOATS.length - 1)]! : random.float() * 1000));
}

/** out[i] = write(a[i], b[i], …) for all elements. */
function elementwise(types: readonly MemoryType[], out: MemoryType, write: (...args: Expr[]) => Expr): TestModule {
  return new TestModule(
    singleKernel(
      types.map((type) => ({ type, length: COUNT })),
      { type: out, length: COUNT },
      (k) => {
        const inputs = types.map((_, i) => k.input(i, `a${i}`));
        const output = k.output(0, "out");
        k.for("i", 0, k.int("count", COUNT), (i) => output.store(i, write(...inputs.map((b) => b.load(i)))));
        return k.finish("elementwise", "");
      },
    ),
  );
}

describe("expressions of WebAssembly", () => {
  const int: Record<string, [(a: Expr, b: Expr) => Expr, (a: number, b: number) => number, ((b: number) => number)?]> = {
    add: [(a, b) => a.add(b), (a, b) => (a + b) | 0],
    sub: [(a, b) => a.sub(b), (a, b) => (a - b) | 0],
    mul: [(a, b) => a.mul(b), Math.imul],
    wrapAdd: [(a, b) => a.wrapAdd(b), (a, b) => (a + b) | 0],
    wrapSub: [(a, b) => a.wrapSub(b), (a, b) => (a - b) | 0],
    wrapMul: [(a, b) => a.wrapMul(b), Math.imul],
    div: [(a, b) => a.div(b), (a, b) => (a / b) | 0, (b) => b || 7],
    rem: [(a, b) => a.rem(b), (a, b) => (a % b) | 0, (b) => b || 7],
    min: [(a, b) => a.min(b), Math.min],
    max: [(a, b) => a.max(b), Math.max],
    "min of compound operands": [(a, b) => a.xor(b).min(a.and(b).max(a.or(5))), (a, b) => Math.min(a ^ b, Math.max(a & b, a | 5))],
    and: [(a, b) => a.and(b), (a, b) => a & b],
    or: [(a, b) => a.or(b), (a, b) => a | b],
    xor: [(a, b) => a.xor(b), (a, b) => a ^ b],
    shl: [(a, b) => a.shl(b), (a, b) => a << b, (b) => b & 31],
    shr: [(a, b) => a.shr(b), (a, b) => a >> b, (b) => b & 31],
    shru: [(a, b) => a.shru(b), (a, b) => (a >>> b) | 0, (b) => b & 31],
    eq: [(a, b) => a.eq(b), (a, b) => Number(a === b)],
    ne: [(a, b) => a.ne(b), (a, b) => Number(a !== b)],
    lt: [(a, b) => a.lt(b), (a, b) => Number(a < b)],
    le: [(a, b) => a.le(b), (a, b) => Number(a <= b)],
    gt: [(a, b) => a.gt(b), (a, b) => Number(a > b)],
    ge: [(a, b) => a.ge(b), (a, b) => Number(a >= b)],
    neg: [(a) => a.neg(), (a) => -a | 0],
    abs: [(a) => a.abs(), (a) => Math.abs(a) | 0],
    "abs of a sum": [(a, b) => a.wrapAdd(b).abs(), (a, b) => Math.abs((a + b) | 0) | 0],
    clz: [(a) => a.clz(), Math.clz32],
    select: [(a, b) => a.lt(b).select(a.shr(1), b.shr(2)), (a, b) => (a < b ? a >> 1 : b >> 2)],
    constants: [(a) => a.xor(-0x80000000).wrapAdd(i32(-64)).wrapAdd(63).wrapAdd(0x7fffffff), (a) => ((a ^ -0x80000000) - 64 + 63 + 0x7fffffff) | 0],
  };
  it.each(Object.entries(int))("i32 %s", (_, [write, reference, fit]) => {
    const a = ints();
    const b = ints().map(fit ?? ((v) => v));
    expectSame(
      elementwise(["i32", "i32"], "i32", write).run(a, b),
      a.map((v, i) => reference(v, b[i]!)),
    );
  });

  const wrap = (v: bigint): bigint => BigInt.asIntN(64, v);
  const long: Record<string, [(a: Expr, b: Expr) => Expr, (a: bigint, b: bigint) => bigint, ((b: bigint) => bigint)?]> = {
    add: [(a, b) => a.add(b), (a, b) => a + b],
    sub: [(a, b) => a.sub(b), (a, b) => a - b],
    mul: [(a, b) => a.mul(b), (a, b) => a * b],
    div: [(a, b) => a.div(b), (a, b) => a / b, (b) => b || 3n],
    rem: [(a, b) => a.rem(b), (a, b) => a % b, (b) => b || 3n],
    min: [(a, b) => a.min(b), (a, b) => (a < b ? a : b)],
    max: [(a, b) => a.max(b), (a, b) => (a > b ? a : b)],
    "and, or, xor": [(a, b) => a.and(b).xor(a.or(i64(123456789012345n))), (a, b) => (a & b) ^ (a | 123456789012345n)],
    shl: [(a, b) => a.shl(b), (a, b) => a << b, (b) => b & 63n],
    shr: [(a, b) => a.shr(b), (a, b) => a >> b, (b) => b & 63n],
    shru: [(a, b) => a.shru(b), (a, b) => BigInt.asUintN(64, a) >> b, (b) => b & 63n],
    neg: [(a) => a.neg(), (a) => -a],
    abs: [(a) => a.abs(), (a) => (a < 0n ? -a : a)],
    clz: [(a) => a.clz(), (a) => BigInt(a < 0n ? 0 : a === 0n ? 64 : 64 - a.toString(2).length)],
    compare: [
      (a, b) => a.lt(b).add(a.le(b).shl(1)).add(a.eq(b).shl(2)).add(a.gt(b).shl(3)).add(a.ge(b).shl(4)).add(a.ne(b).shl(5)).to("i64"),
      (a, b) => BigInt(Number(a < b) + Number(a <= b) * 2 + Number(a === b) * 4 + Number(a > b) * 8 + Number(a >= b) * 16 + Number(a !== b) * 32),
    ],
  };
  it.each(Object.entries(long))("i64 %s", (_, [write, reference, fit]) => {
    const a = longs();
    const b = longs().map(fit ?? ((v) => v));
    expectSame(
      elementwise(["i64", "i64"], "i64", write).run(a, b),
      a.map((v, i) => wrap(reference(v, b[i]!))),
    );
  });

  const even = (v: number): number => {
    const low = Math.floor(v);
    if (!Number.isFinite(v) || v === low) return v;
    const up = v - low > 0.5 || (v - low === 0.5 && low % 2 !== 0);
    const result = up ? low + 1 : low;
    return result === 0 && v < 0 ? -0 : result;
  };
  const float: Record<string, [(a: Expr, b: Expr) => Expr, (a: number, b: number) => number]> = {
    add: [(a, b) => a.add(b), (a, b) => a + b],
    sub: [(a, b) => a.sub(b), (a, b) => a - b],
    mul: [(a, b) => a.mul(b), (a, b) => a * b],
    div: [(a, b) => a.div(b), (a, b) => a / b],
    min: [(a, b) => a.min(b), (a, b) => (a < b ? a : b)],
    max: [(a, b) => a.max(b), (a, b) => (a > b ? a : b)],
    clamp: [
      (a) => a.clamp(-1, 6),
      (a) => {
        const m = a > -1 ? a : -1;
        return m < 6 ? m : 6;
      },
    ],
    neg: [(a) => a.neg(), (a) => -a],
    abs: [(a) => a.abs(), Math.abs],
    sqrt: [(a) => a.sqrt(), Math.sqrt],
    floor: [(a) => a.floor(), Math.floor],
    ceil: [(a) => a.ceil(), Math.ceil],
    trunc: [(a) => a.trunc(), Math.trunc],
    rint: [(a) => a.rint(), even],
    select: [(a, b) => a.ge(b).select(a, b.mul(0.1)), (a, b) => (a >= b ? a : b * f(0.1))],
    "sign through bits": [(a) => bitsToFloat(floatToBits(a).xor(-0x80000000)), (a) => -a],
  };
  it.each(Object.entries(float))("f32 %s", (_, [write, reference]) => {
    const a = floats();
    const b = floats();
    expectSame(
      elementwise(["f32", "f32"], "f32", write).run(a, b),
      a.map((v, i) => reference(v, b[i]!)),
    );
  });

  it("f32 comparisons", () => {
    const a = floats();
    const b = floats();
    const module = elementwise(["f32", "f32"], "u8", (x, y) =>
      x.lt(y).add(x.le(y).shl(1)).add(x.eq(y).shl(2)).add(x.gt(y).shl(3)).add(x.ge(y).shl(4)).add(x.ne(y).shl(5)),
    );
    const expected = Array.from(a, (x, i) => {
      const y = b[i]!;
      return [x < y, x <= y, x === y, x > y, x >= y, x !== y].reduce((sum, bit, n) => sum + (Number(bit) << n), 0);
    });
    expectSame(module.run(a, b), expected);
  });

  it("conversions", () => {
    const a = ints();
    const l = longs();
    const r = floats().map((v) => (v > -2e9 && v < 2e9 ? v : 12.75));
    expectSame(elementwise(["i32"], "f32", (x) => x.to("f32")).run(a), Float32Array.from(a));
    expectSame(elementwise(["i32"], "i64", (x) => x.to("i64")).run(a), BigInt64Array.from(a, BigInt));
    expectSame(
      elementwise(["i64"], "i32", (x) => x.to("i32")).run(l),
      Array.from(l, (v) => Number(BigInt.asIntN(32, v))),
    );
    expectSame(
      elementwise(["f32"], "i32", (x) => x.to("i32")).run(r),
      Array.from(r, (v) => Math.trunc(v) + 0),
    );
    expectSame(
      elementwise(["f32"], "i64", (x) => x.to("i64")).run(r),
      Array.from(r, (v) => BigInt(Math.trunc(v))),
    );
  });

  it("rounds i64 to f32 once", () => {
    const l = new BigInt64Array(COUNT).fill((1n << 60n) + (1n << 36n) + 1n);
    expect(elementwise(["i64"], "f32", (x) => x.to("f32")).run(l)[0]).toBe(2 ** 60 + 2 ** 37);
  });

  const references: Record<Exclude<IntrinsicName, "multiplyAdd">, (a: number, b: number, c: number) => number> = {
    roundingHighMul: (a, b) => Number(BigInt.asIntN(32, (BigInt(a) * BigInt(b) + (1n << 30n)) >> 31n)),
    roundingHighMulSmall: (a, b) => Number(BigInt.asIntN(32, (BigInt(a) * BigInt(b) + (1n << 30n)) >> 31n)),
    smmla: (a, b, c) => Number(BigInt.asIntN(32, ((BigInt(a) * BigInt(b)) >> 32n) + BigInt(c))),
    smlad: (a, b, c) => (c + Math.imul((a << 16) >> 16, (b << 16) >> 16) + Math.imul(a >> 16, b >> 16)) | 0,
    smlabt: (a, b, c) => (c + Math.imul((a << 16) >> 16, b >> 16)) | 0,
    smlatb: (a, b, c) => (c + Math.imul(a >> 16, (b << 16) >> 16)) | 0,
    pkhbt: (a, b) => (a & 0xffff) | (b << 16),
    pkhtb: (a, b) => ((a >> 16) & 0xffff) | ((b >> 16) << 16),
    sadd16: (a, b) => ((a + b) & 0xffff) | (((a >> 16) + (b >> 16)) << 16),
    smmulr: (a, b) => Number((BigInt(a) * BigInt(b) + (1n << 31n)) >> 32n) | 0,
    ssub16: (a, b) => ((a - b) & 0xffff) | (((a >> 16) - (b >> 16)) << 16),
    addHighHalf: (a, b) => (a + (((b + 2 ** 15) | 0) >> 16)) | 0,
    addProduct: (a, b, c) => (a + Math.imul(b, c)) | 0,
    addAside: (a, b) => (a + b) | 0,
    addShiftedProduct: (a, b, c) => (a + Math.imul(b, c >>> 8)) | 0,
    addMaskedProduct: (a, b, c) => (a + Math.imul(b, c & 0x00ff00ff)) | 0,
    saturate8: (a) => Math.max(-128, Math.min(127, a)),
    sxtb16: (a) => (((a << 24) >> 24) & 0xffff) | (((a << 8) >> 24) << 16),
    sxtb16High: (a) => (((a << 16) >> 24) & 0xffff) | ((a >> 24) << 16),
    sxtab16: (a, b) => ((((a << 24) >> 24) + b) & 0xffff) | ((((a << 8) >> 24) + (b >> 16)) << 16),
    sxtab16High: (a, b) => ((((a << 16) >> 24) + b) & 0xffff) | (((a >> 24) + (b >> 16)) << 16),
  };
  it.each(Object.entries(references))("intrinsic %s", (name, reference) => {
    const [a, b, c] = [ints(), ints(), ints()];
    const inputs = INTRINSICS[name as IntrinsicName].args.length;
    const module = elementwise(["i32", "i32", "i32"], "i32", (...args) =>
      intrinsic(name as IntrinsicName, ...[...args, i32(0x00ff00ff)].slice(0, inputs)),
    );
    expectSame(
      module.run(a, b, c),
      a.map((v, i) => reference(v, b[i]!, c[i]!)),
    );
  });

  it("intrinsics within intrinsics", () => {
    const [a, b] = [ints(), ints()];
    const module = elementwise(["i32", "i32"], "i32", (x, y) =>
      intrinsic(
        "smlad",
        intrinsic("sxtb16", x),
        intrinsic("sxtb16", y),
        intrinsic("smlad", intrinsic("sxtb16High", x), intrinsic("sxtb16High", y), i32(3)),
      ),
    );
    const dot = (x: number, y: number): number => [0, 8, 16, 24].reduce((sum, s) => sum + ((x << s) >> 24) * ((y << s) >> 24), 3);
    expectSame(
      module.run(a, b),
      a.map((v, i) => dot(v, b[i]!)),
    );
  });
});

describe("memory in WebAssembly", () => {
  it.each(["i8", "u8", "i16", "u16", "i32", "f32"] as const)("loads and stores %s", (type) => {
    const bytes = Float32Array.from({ length: COUNT }, () => random.int(-100000, 100000));
    const through = elementwise(["f32"], type, (x) => (type === "f32" ? x : x.to("i32"))).run(bytes);
    const back = elementwise([type], "f32", (x) => x.to("f32")).run(through);
    const array = { i8: Int8Array, u8: Uint8Array, i16: Int16Array, u16: Uint16Array, i32: Int32Array, f32: Float32Array }[type];
    expectSame(back, array.from(bytes));
  });

  function gather(write: (k: KernelBuilder, from: Buffer, to: Buffer) => void, type: MemoryType = "i32"): TypedArray {
    const program = singleKernel([{ type, length: 64 }], { type: "i32", length: 64 }, (k) => {
      const [from, to] = [k.input(0, "from"), k.output(0, "to")];
      write(k, from, to);
      return k.finish("gather", "");
    });
    const data = type === "i32" ? Int32Array.from({ length: 64 }, (_, i) => i * 10) : Int8Array.from({ length: 64 }, (_, i) => i - 30);
    return new TestModule(program).run(data);
  }

  it("puts constant parts of an index where they cannot wrap", () => {
    const out = gather((k, from, to) => {
      const pad = k.int("pad", 5);
      k.for("i", -5, 3, (i) => {
        // i + 5 has a negative variable part; (i + pad) * 2 + 3 + 1 has none that is known.
        to.store(i.add(5), from.load(i.add(5).add(3)));
        to.store(i.add(pad).mul(2).add(10), from.load(i.add(pad).add(20)));
      });
      k.for("j", 0, 4, (j) => to.store(j.mul(pad).add(40).add(1), from.load(j.add(1).add(pad))));
      to.store(63, from.load(2));
    });
    expect(out[0]).toBe(30);
    expect(out[7]).toBe(100);
    expect(Array.from({ length: 8 }, (_, i) => out[10 + 2 * i])).toEqual([200, 210, 220, 230, 240, 250, 260, 270]);
    expect([out[41], out[46], out[51], out[56]]).toEqual([60, 70, 80, 90]);
    expect(out[63]).toBe(20);
  });

  it("loads words at any byte", () => {
    const out = gather((k, from, to) => k.for("i", 0, 61, (i) => to.store(i, loadWord(from, i))), "i8");
    const view = new DataView(Int8Array.from({ length: 64 }, (_, i) => i - 30).buffer);
    for (let i = 0; i < 61; i++) expect(out[i]).toBe(view.getInt32(i, true));
  });

  it("copies overlapping elements as memmove", () => {
    const out = gather((k, from, to) => {
      k.copy(to, 0, from, k.int("start", 4), 16);
      k.copy(to, 1, to, 0, k.int("many", 10));
      k.copy(to, 60, from, 0, 0);
    });
    expect(Array.from(out as Int32Array).slice(0, 12)).toEqual([40, 40, 50, 60, 70, 80, 90, 100, 110, 120, 130, 150]);
  });
});

describe("statements of WebAssembly", () => {
  function result(write: (k: KernelBuilder, to: Buffer) => void): number[] {
    const program = singleKernel([], { type: "i32", length: 8 }, (k) => {
      write(k, k.output(0, "to"));
      return k.finish("statements", "");
    });
    return Array.from(new TestModule(program).run() as Int32Array);
  }

  it("loops: bounds evaluated once, steps, empty ranges, nests", () => {
    const out = result((k, to) => {
      const end = k.variable("end", i32(4));
      const turns = k.variable("turns", i32(0));
      k.for("i", 0, end.get(), () => {
        end.set(end.get().add(1));
        turns.set(turns.get().add(1));
      });
      to.store(0, turns.get());
      k.for("i", end.get(), 8, () => to.store(1, 99));
      k.for("i", 3, 3, () => to.store(1, 98));
      k.for("i", end.get().sub(8), end.get().add(2), (i) => to.store(2, i), 3);
      const sum = k.variable("sum", i32(0));
      k.for("y", 0, 5, (y) => k.for("x", y, 5, (x) => sum.set(sum.get().add(y.mul(10).add(x)))));
      to.store(3, sum.get());
    });
    let sum = 0;
    for (let y = 0; y < 5; y++) for (let x = y; x < 5; x++) sum += y * 10 + x;
    expect(out.slice(0, 4)).toEqual([4, 0, 9, sum]);
  });

  it("branches", () => {
    const out = result((k, to) => {
      k.for("i", 0, 4, (i) => {
        k.if(
          i.and(1),
          () => to.store(i, i),
          () => to.store(i, i.neg()),
        );
        k.if(i.ge(2), () => to.store(i.add(4), 7));
      });
    });
    expect(out).toEqual([0, 1, -2, 3, 0, 0, 7, 7]);
  });

  it("calls helpers that call helpers", () => {
    const square = defineFunction("square", "", { x: "i32" }, "i32", (b, x) => b.return(x!.mul(x!)));
    const mixed = defineFunction("mixed", "", { x: "i32", s: "f32", l: "i64" }, "f32", (b, x, s, l) => {
      const half = b.let("half", x!.to("f32").mul(s!));
      b.return(half.add(l!.to("f32")));
    });
    const out = result((k, to) => {
      to.store(0, k.call(square, k.int("seven", 7)));
      to.store(1, k.call(mixed, 9, 0.5, 2).to("i32"));
      to.store(2, k.call(square, k.call(square, 3)));
    });
    expect(out.slice(0, 3)).toEqual([49, 6, 81]);
  });
});

describe("vectors in WebAssembly", () => {
  /** Runs on 16-byte inputs; gives the 16 bytes of the vector. */
  function lanes(write: (a: Expr, b: Expr) => Expr, type: Parameters<typeof vectorLoad>[0], a: TypedArray, b: TypedArray): ArrayBuffer {
    const memory: MemoryType = type === "f32x4" ? "f32" : type === "i32x4" ? "i32" : type === "i16x8" ? "i16" : "i8";
    const length = LANES[type];
    const program = singleKernel(
      [
        { type: memory, length },
        { type: memory, length },
      ],
      { type: "i8", length: 16 },
      (k) => {
        const [x, y, to] = [k.input(0, "x"), k.input(1, "y"), k.output(0, "to")];
        const value = write(vectorLoad(type, x, 0), vectorLoad(type, y, 0));
        if (isVector(value.type)) k.emit({ kind: "vectorStore", buffer: to, index: i32(0), value, form: "full" });
        else k.for("i", 0, 4, (i) => to.store(i, (value.type === "f32" ? floatToBits(value) : value).shr(i.mul(8))));
        return k.finish("lanes", "");
      },
    );
    return new TestModule(program).run(a, b).buffer as ArrayBuffer;
  }
  const low = (x: Int16Array, y: Int16Array, i: number): number => x[i]! * y[i]!;
  const i16 = (): Int16Array => Int16Array.from({ length: 8 }, () => random.int(-32768, 32767));
  const i32s = (): Int32Array => Int32Array.from({ length: 4 }, () => random.next() | 0);
  const f32s = (): Float32Array => Float32Array.from({ length: 4 }, () => random.float() * 100);
  const four = (lane: (i: number) => number): Int32Array => Int32Array.from({ length: 4 }, (_, i) => lane(i));

  const sixteen: Partial<Record<VectorOpName, (x: Int16Array, y: Int16Array) => TypedArray>> = {
    "i16x8.add": (x, y) => x.map((v, i) => v + y[i]!),
    "i16x8.sub": (x, y) => x.map((v, i) => v - y[i]!),
    "i16x8.mul": (x, y) => x.map((v, i) => Math.imul(v, y[i]!)),
    "i32x4.dot_i16x8_s": (x, y) => four((i) => low(x, y, 2 * i) + low(x, y, 2 * i + 1)),
    "i32x4.extmul_low_i16x8_s": (x, y) => four((i) => low(x, y, i)),
    "i32x4.extmul_high_i16x8_s": (x, y) => four((i) => low(x, y, i + 4)),
  };
  it.each(Object.entries(sixteen))("%s", (op, reference) => {
    const [x, y] = [i16(), i16()];
    expect(lanes((a, b) => vector(op as VectorOpName, [a, b]), "i16x8", x, y)).toEqual(reference(x, y).buffer);
  });

  const wide: Partial<Record<VectorOpName, (x: number, y: number) => number>> = {
    "i32x4.add": (x, y) => x + y,
    "i32x4.sub": (x, y) => x - y,
    "i32x4.mul": Math.imul,
  };
  it.each(Object.entries(wide))("%s", (op, reference) => {
    const [x, y] = [i32s(), i32s()];
    expect(lanes((a, b) => vector(op as VectorOpName, [a, b]), "i32x4", x, y)).toEqual(four((i) => reference(x[i]!, y[i]!)).buffer);
  });

  it.each([
    ["f32x4.add", (x: number, y: number) => x + y],
    ["f32x4.mul", (x: number, y: number) => x * y],
  ] as const)("%s", (op, reference) => {
    const [x, y] = [f32s(), f32s()];
    expect(lanes((a, b) => vector(op, [a, b]), "f32x4", x, y)).toEqual(x.map((v, i) => reference(v, y[i]!)).buffer);
  });

  it("splats, constants and lanes", () => {
    const [x, y, u, v] = [i32s(), i32s(), f32s(), f32s()];
    const lane = (e: Expr, n: number): Expr => vector(e.type === "f32x4" ? "f32x4.extract_lane" : "i32x4.extract_lane", [e], n);
    expect(lanes((a) => vector("i32x4.splat", [lane(a, 2)]), "i32x4", x, y)).toEqual(new Int32Array(4).fill(x[2]!).buffer);
    expect(lanes((a) => vector("i16x8.splat", [lane(a, 1)]), "i32x4", x, y)).toEqual(new Int16Array(8).fill(x[1]!).buffer);
    expect(lanes((a) => vector("f32x4.splat", [lane(a, 3)]), "f32x4", u, v)).toEqual(new Float32Array(4).fill(u[3]!).buffer);
    for (const [type, array] of [
      ["i8x16", Int8Array],
      ["i16x8", Int16Array],
      ["i32x4", Int32Array],
      ["f32x4", Float32Array],
    ] as const) {
      expect(lanes(() => constant(-3, type), "i32x4", x, y)).toEqual(new array(LANES[type]).fill(-3).buffer);
    }
    expect(new Int32Array(lanes((a) => lane(a, 3), "i32x4", x, y))[0]).toBe(x[3]);
  });

  it("every operation of the table is a valid instruction of its types", () => {
    for (const [op, spec] of Object.entries(VECTOR_OPS) as [VectorOpName, VectorOp][]) {
      const arg = (type: ValueKind): Expr => constant(1, type);
      const program = singleKernel([], { type: "i32", length: 4 }, (k) => {
        k.output(0, "to");
        k.let("x", vector(op, spec.args.map(arg), spec.lane ? 1 : undefined));
        return k.finish("one", "");
      });
      expect(() => new TestModule(program), op).not.toThrow();
    }
  });

  it.each([
    ["widen8s", "i8", "i16x8"],
    ["widen8u", "u8", "i16x8"],
    ["splat", "i8", "i8x16"],
    ["splat", "i16", "i16x8"],
    ["splat", "i32", "i32x4"],
    ["splat", "f32", "f32x4"],
    ["splat", "i8", "i32x4"],
    ["splat", "u8", "i16x8"],
    ["full", "i8", "i8x16"],
  ] as const)("vectorLoad %s of %s as %s at odd places, stored whole and by half", (form, type, as) => {
    const program = singleKernel([{ type, length: 40 }], { type: "i8", length: 32 }, (k) => {
      const [from, to] = [k.input(0, "from"), k.output(0, "to")];
      const at = k.int("at", 3);
      k.emit({ kind: "vectorStore", buffer: to, index: i32(1), value: vectorLoad(as, from, at, form), form: "full" });
      k.emit({ kind: "vectorStore", buffer: to, index: at.add(18), value: vectorLoad(as, from, at, form), form: "low8" });
      return k.finish("loads", "");
    });
    const arrays = { i8: Int8Array, u8: Uint8Array, i16: Int16Array, i32: Int32Array, f32: Float32Array };
    const data = new arrays[type](40).map(() => random.int(-120, 255));
    const laneArray = { i8x16: Int8Array, i16x8: Int16Array, i32x4: Int32Array, f32x4: Float32Array }[as];
    const lane = new laneArray(Array.from({ length: LANES[as] }, (_, i) => data[form === "splat" ? 3 : 3 + i]!));
    const expected = new Uint8Array(32);
    expected.set(new Uint8Array(lane.buffer), 1);
    expected.set(new Uint8Array(lane.buffer, 0, 8), 21);
    expect(new Uint8Array(new TestModule(program).run(data).buffer)).toEqual(expected);
  });
});
