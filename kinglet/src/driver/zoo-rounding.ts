import { bitsToFloat, defineFunction, type Func, type Program } from "../loops/index.ts";

/**
 * The engine that made the stored results rounds the sum of most layers once, in single precision and ties to even,
 * where the published specification rounds twice. With this in place of the two roundings a right network gives the
 * engine's own numbers: what is left of a difference would be a mistake, not a rounding.
 */
const requantizeOnce: Func = defineFunction(
  "requantize",
  "x * multiplier / 2^31 * 2^shift in single precision, rounded once.",
  { x: "i32", multiplier: "i32", shift: "i32" },
  "i32",
  (f, x, multiplier, shift) => {
    const power = f.let("power", bitsToFloat(shift!.add(127 - 31).max(1).shl(23)));
    const product = f.let("product", x!.to("f32").mul(multiplier!.to("f32").mul(power)));
    f.return(product.clamp(-(2 ** 31), 2 ** 31 - 128).rint().to("i32"));
  },
);

/** The program with every `requantize` rounded once; its other functions stay as they are. */
export function withOneRounding(program: Program): Program {
  return { ...program, functions: program.functions.map((func) => (func.name === "requantize" ? requantizeOnce : func)) };
}
