import type { Node } from "../graph/index.ts";
import { constant, defineFunction, type Expr, type Func, i32, type KernelBuilder, type KernelInstance } from "../loops/index.ts";
import { inferBinary, safeDivide } from "./arithmetic.ts";
import { binaryLoops, makeCase, oneType, typed } from "./elementwise.ts";
import { floorDivFloat, floorModFloat, powFloat } from "./float-math.ts";
import { type OpDef, suffixOf } from "./op.ts";

/** Maximum, minimum, powers and floored division: operators that look at stored numbers only. */

function extremeLoops(name: string, pick: (a: Expr, b: Expr) => Expr): OpDef["loops"] {
  return (k, node) => {
    const dtype = oneType(node, ["int8", "uint8", "int16", "int32", "int64", "float32"]);
    binaryLoops(k, node, pick);
    return k.finish(`${name}_${suffixOf(dtype)}`, `Element by element ${name} of stored numbers, with broadcasting.`);
  };
}

const PAIR = [2, 3, 4];
const extremeCases: OpDef["cases"] = [
  makeCase("int8 broadcast", [typed("int8", PAIR, 0.05, -3), typed("int8", [3, 1], 0.05, -3)], typed("int8", PAIR, 0.05, -3)),
  makeCase("uint8", [typed("uint8", PAIR, 0.05, 3), typed("uint8", PAIR, 0.05, 3)], typed("uint8", PAIR, 0.05, 3)),
  makeCase("int16", [typed("int16", PAIR, 0.001), typed("int16", [1], 0.001)], typed("int16", PAIR, 0.001)),
  makeCase("int32", [typed("int32", PAIR), typed("int32", [4])], typed("int32", PAIR)),
  makeCase("int64", [typed("int64", PAIR), typed("int64", [4])], typed("int64", PAIR)),
  makeCase("float", [typed("float32", PAIR), typed("float32", [2, 1, 1])], typed("float32", PAIR)),
];

export const maximum: OpDef = {
  name: "maximum",
  infer: inferBinary("maximum"),
  loops: extremeLoops("maximum", (a, b) => a.max(b)),
  cases: extremeCases,
};
export const minimum: OpDef = {
  name: "minimum",
  infer: inferBinary("minimum"),
  loops: extremeLoops("minimum", (a, b) => a.min(b)),
  cases: extremeCases,
};

/** x^y modulo 2^32 by squaring; a negative exponent gives what truncation of 1 / x^|y| gives. */
const powInteger: Func = defineFunction("pow_s32", "x^y modulo 2^32; 1 / x^|y| truncated for y < 0.", { x: "i32", y: "i32" }, "i32", (f, x, y) => {
  const result = f.variable("result", i32(1));
  const base = f.variable("base", x!);
  f.for("bit", 0, 31, (bit) => {
    f.if(y!.shr(bit).and(1).ne(0), () => result.set(result.get().wrapMul(base.get())));
    base.set(base.get().wrapMul(base.get()));
  });
  const unit = x!.eq(1).select(i32(1), x!.eq(-1).select(i32(1).sub(y!.and(1).mul(2)), i32(0)));
  f.return(y!.lt(0).select(unit, result.get()));
});

function powLoops(k: KernelBuilder, node: Node): KernelInstance {
  const dtype = oneType(node, ["int32", "float32"]);
  binaryLoops(k, node, (a, b) => k.call(dtype === "float32" ? powFloat : powInteger, a, b));
  return k.finish(`pow_${suffixOf(dtype)}`, "Element by element power, with broadcasting.");
}

export const pow: OpDef = {
  name: "pow",
  infer: inferBinary("pow"),
  loops: powLoops,
  cases: [
    makeCase(
      "float",
      [
        { ...typed("float32", PAIR), low: 0.01, high: 9 },
        { ...typed("float32", [3, 1]), low: -5, high: 5 },
      ],
      typed("float32", PAIR),
    ),
    makeCase(
      "float of moderate size",
      [
        { ...typed("float32", PAIR), low: 0.3, high: 2 },
        { ...typed("float32", [4]), low: -2, high: 3 },
      ],
      typed("float32", PAIR),
    ),
    makeCase("float of any sign", [{ ...typed("float32", PAIR), low: -4, high: 4 }, typed("float32", [4])], typed("float32", PAIR)),
    makeCase(
      "int32",
      [
        { ...typed("int32", PAIR), low: -9, high: 9 },
        { ...typed("int32", [4]), low: -2, high: 9 },
      ],
      typed("int32", PAIR),
    ),
  ],
};

function integerFloorDiv(k: KernelBuilder, a: Expr, b: Expr): Expr {
  const quotient = k.let("quotient", safeDivide(a, b));
  const rest = k.let("rest", a.wrapSub(quotient.wrapMul(b)));
  const down = b
    .ne(0)
    .and(rest.ne(0))
    .and(rest.lt(0).ne(b.lt(0)));
  return down.select(quotient.sub(1), quotient);
}

function integerFloorMod(k: KernelBuilder, a: Expr, b: Expr): Expr {
  const rest = k.let("rest", a.wrapSub(safeDivide(a, b).wrapMul(b)));
  const moved = b
    .ne(0)
    .and(rest.ne(0))
    .and(rest.lt(0).ne(b.lt(0)))
    .select(rest.add(b), rest);
  return b.eq(0).select(constant(0, a.type), moved);
}

function floorLoops(name: string, float: Func, integer: (k: KernelBuilder, a: Expr, b: Expr) => Expr): OpDef["loops"] {
  return (k, node) => {
    const dtype = oneType(node, ["int8", "uint8", "int16", "int32", "int64", "float32"]);
    binaryLoops(k, node, (a, b) => (a.type === "f32" ? k.call(float, a, b) : integer(k, a, b)));
    return k.finish(`${name}_${suffixOf(dtype)}`, "Division rounded down, element by element; integers give 0 for a divisor of 0.");
  };
}

const floorCases: OpDef["cases"] = [
  makeCase(
    "int32, also by zero",
    [
      { ...typed("int32", [2, 30]), low: -50, high: 50 },
      { ...typed("int32", [30]), low: -4, high: 4 },
    ],
    typed("int32", [2, 30]),
  ),
  makeCase(
    "int64",
    [
      { ...typed("int64", [2, 3]), low: -50, high: 50 },
      { ...typed("int64", [3]), low: 1, high: 9 },
    ],
    typed("int64", [2, 3]),
  ),
  makeCase(
    "float",
    [
      { ...typed("float32", PAIR), low: -50, high: 50 },
      { ...typed("float32", [4]), low: 0.1, high: 3 },
    ],
    typed("float32", PAIR),
  ),
];

export const floorDiv: OpDef = {
  name: "floorDiv",
  infer: inferBinary("floorDiv"),
  loops: floorLoops("floor_div", floorDivFloat, integerFloorDiv),
  cases: floorCases,
};
export const floorMod: OpDef = {
  name: "floorMod",
  infer: inferBinary("floorMod"),
  loops: floorLoops("floor_mod", floorModFloat, integerFloorMod),
  cases: floorCases,
};
