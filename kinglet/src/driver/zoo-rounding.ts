import { bitsToFloat, constant, defineFunction, type Func, i32, type Program } from "../loops/index.ts";

/** x · multiplier / 2^31 · 2^shift in single precision, rounded once, ties to even: convolutions and dense layers. */
const inFloat: Func = defineFunction(
  "requantize_float",
  "x * multiplier / 2^31 * 2^shift in single precision, rounded once.",
  { x: "i32", multiplier: "i32", shift: "i32" },
  "i32",
  (f, x, multiplier, shift) => {
    const power = f.let("power", bitsToFloat(shift!.add(127 - 31).max(1).shl(23)));
    const product = f.let("product", x!.to("f32").mul(multiplier!.to("f32").mul(power)));
    f.return(product.clamp(-(2 ** 31), 2 ** 31 - 128).rint().to("i32"));
  },
);

/** The same in integers, ties upward: sums. */
const inIntegers: Func = defineFunction(
  "requantize_once",
  "x * multiplier / 2^31 * 2^shift in integers, rounded once.",
  { x: "i32", multiplier: "i32", shift: "i32" },
  "i32",
  (f, x, multiplier, shift) => {
    const total = f.let("total", i32(31).sub(shift!).to("i64"));
    const half = constant(1, "i64").shl(total.sub(constant(1, "i64")));
    f.return(x!.to("i64").mul(multiplier!.to("i64")).add(half).shr(total).to("i32"));
  },
);

const ROUNDINGS: Readonly<Record<string, Func>> = { conv2d: inFloat, depthwiseConv2d: inFloat, fullyConnected: inFloat, mul: inFloat, add: inIntegers, sub: inIntegers };

/** A copy of a function's statements that calls `to` where it called `requantize`. */
function redirected<T>(tree: T, to: string): T {
  if (Array.isArray(tree)) return tree.map((item) => redirected(item, to)) as T;
  if (typeof tree !== "object" || tree === null) return tree;
  const entries = Object.entries(tree).map(([key, value]) => [key, key === "func" && value === "requantize" ? to : redirected(value, to)]);
  return Object.assign(Object.create(Object.getPrototypeOf(tree)), Object.fromEntries(entries)) as T;
}

/**
 * The engine that made the stored results rounds the result of most layers once, where the published specification
 * rounds twice. With its rounding in these layers a right network gives its numbers: what is left of a difference
 * would be a mistake, not a rounding.
 */
export function withOneRounding(program: Program): Program {
  const roundings = new Map(program.steps.map((step) => [step.func, ROUNDINGS[step.op]]));
  const functions = program.functions.map((func) => {
    const rounding = roundings.get(func.name);
    return rounding === undefined ? func : { ...func, body: redirected(func.body, rounding.name) };
  });
  return { ...program, functions: [inFloat, inIntegers, ...functions] };
}
