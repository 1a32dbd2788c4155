import type { Value } from "../../graph/index.ts";
import { add, binary, clip, compare, div, extreme, mul, type Operand, select, sub, unary } from "./math.ts";
import type { Rule, Site } from "./site.ts";

type Rules = Readonly<Record<string, Rule>>;

const one =
  (op: string): Rule =>
  (site) =>
    unary(site, op, site.input(0));

/** The second operand; before version 7 an axis says where its dimensions stand among those of the first. */
function second(site: Site): Value {
  const [a, b] = [site.input(0), site.input(1)];
  if (site.version >= 7 || site.int("broadcast", 0) === 0 || !site.has("axis")) return b;
  const behind = a.shape.length - site.axis(site.int("axis", 0), a.shape.length) - b.shape.length;
  return behind <= 0 ? b : site.reshape(b, [...b.shape, ...new Array<number>(behind).fill(1)]);
}

const two =
  (op: string): Rule =>
  (site) =>
    binary(site, op, site.input(0), second(site));

const comparison =
  (op: string): Rule =>
  (site) =>
    compare(site, op, site.input(0), site.input(1));

/** A chain over any number of inputs. */
const all =
  (join: (site: Site, a: Value, b: Value) => Value): Rule =>
  (site) =>
    site.inputs.slice(1).reduce<Value>((left, _, i) => join(site, left, site.input(i + 1)), site.input(0));

const formula =
  (write: (site: Site, x: Value) => Value): Rule =>
  (site) =>
    write(site, site.input(0));

const exp = (site: Site, x: Value): Value => site.emit("exp", [x]);
const log = (site: Site, x: Value): Value => site.emit("log", [x]);
const sqrt = (site: Site, x: Value): Value => site.emit("sqrt", [x]);

function sign(site: Site, x: Value): Value {
  const up = compare(site, "greater", x, 0);
  const down = compare(site, "less", x, 0);
  return sub(site, site.cast(up, x.dtype), site.cast(down, x.dtype));
}

/** |x| through a formula that is odd in x. */
function odd(site: Site, x: Value, write: (size: Value) => Value): Value {
  return mul(site, sign(site, x), write(site.emit("abs", [x])));
}

/** ln(1 + e^x) = max(x, 0) + ln(1 + e^−|x|). */
function softplus(site: Site, x: Value): Value {
  const small = exp(site, site.emit("neg", [site.emit("abs", [x])]));
  return add(site, site.emit("relu", [x]), log(site, add(site, small, 1)));
}

const half = (site: Site, x: Operand): Value => mul(site, x, 0.5);

function arcSine(site: Site, x: Value): Value {
  // 1 − x² as (1 − x)(1 + x) keeps its digits near the ends.
  const root = sqrt(site, mul(site, sub(site, 1, x), add(site, 1, x)));
  return site.emit("atan", [div(site, x, root)]);
}

function mod(site: Site): Value {
  const [a, b] = [site.input(0), site.input(1)];
  if (site.int("fmod", 0) === 0) return binary(site, "floorMod", a, b);
  const rest = binary(site, "floorMod", unary(site, "abs", a), unary(site, "abs", b));
  return select(site, compare(site, "less", a, 0), unary(site, "neg", rest), rest);
}

function power(site: Site): Value {
  const [x, y] = [site.input(0), site.input(1)];
  if (x.dtype === "float32") return site.emit("pow", [x, site.cast(y, "float32")]);
  if (y.dtype === "float32") return site.cast(site.emit("pow", [site.cast(x, "float32"), y]), x.dtype);
  if (x.dtype === "int64" || x.dtype === "uint64")
    return site.unsupported(`powers of ${x.dtype} are not supported`, "Export the model with float32 powers.");
  return site.cast(site.emit("pow", [site.cast(x, "int32"), site.cast(y, "int32")]), x.dtype);
}

/** NaN in either operand gives NaN, in either order. */
function extremeOf(op: "maximum" | "minimum"): Rule {
  return all((site, a, b) => extreme(site, op, a, b));
}

/** Kinglet's own operators between bounds that are often met. */
const BOUNDED: Readonly<Record<string, string>> = { "0,6": "relu6", "-1,1": "reluN1To1", "0,Infinity": "relu" };

/** The bounds of a Clip where they are known; they may be open. */
function clipBounds(site: Site): readonly [number, number] | null {
  if (site.version < 11) return [site.float("min", -Infinity), site.float("max", Infinity)];
  const bounds = [1, 2].map((index) => site.optional(index));
  if (bounds.some((bound) => bound !== null && bound.data === undefined)) return null;
  return [Number(bounds[0]?.data?.[0] ?? -Infinity), Number(bounds[1]?.data?.[0] ?? Infinity)];
}

/** The operator that stands for an activation between two bounds. */
export function boundedOp(site: Site): string | undefined {
  return site.node.op === "Relu" ? "relu" : site.node.op === "Clip" ? BOUNDED[String(clipBounds(site))] : undefined;
}

function clipRule(site: Site): Value {
  const x = site.input(0);
  const bounded = x.dtype === "float32" ? boundedOp(site) : undefined;
  if (bounded !== undefined) return site.emit(bounded, [x]);
  if (site.version < 11) return clip(site, x, site.float("min", -Infinity), site.float("max", Infinity));
  const [low, high] = [site.optional(1), site.optional(2)];
  const above = low === null ? x : extreme(site, "maximum", x, low);
  return high === null ? above : extreme(site, "minimum", above, high);
}

function mean(site: Site): Value {
  const sum = all(add)(site) as Value;
  return div(site, sum, site.inputs.length);
}

function gelu(site: Site): Value {
  return site.emit("gelu", [site.input(0)], { approximate: site.text("approximate", "none") === "tanh" });
}

function prelu(site: Site): Value {
  const x = site.input(0);
  // Before version 7 one slope for each channel stood without the dimensions behind it.
  const old = site.version < 7 && x.shape.length > 2 && site.shape(1).length === 1;
  const slope = old ? site.reshape(site.input(1), [...site.shape(1), ...x.shape.slice(2).map(() => 1)]) : site.input(1);
  if (x.dtype === "float32") return site.emit("prelu", [x, slope]);
  return select(site, compare(site, "less", x, 0), mul(site, x, slope), x);
}

function elu(site: Site, x: Value, alpha: number, gamma = 1): Value {
  if (alpha === 1 && gamma === 1) return site.emit("elu", [x]);
  const negative = mul(site, site.emit("elu", [clip(site, x, -Infinity, 0)]), alpha * gamma);
  const positive = site.emit("relu", [x]);
  return add(site, gamma === 1 ? positive : mul(site, positive, gamma), negative);
}

function hardSigmoid(site: Site, x: Value, alpha: number, beta: number): Value {
  return clip(site, add(site, mul(site, x, alpha), beta), 0, 1);
}

function shrink(site: Site): Value {
  const x = site.input(0);
  const [bias, lambda] = [site.float("bias", 0), site.float("lambd", 0.5)];
  const high = select(site, compare(site, "greater", x, lambda), sub(site, x, bias), site.like(x, 0));
  return select(site, compare(site, "less", x, -lambda), add(site, x, bias), high);
}

function isInfinite(site: Site): Value {
  const x = site.input(0);
  const positive = (): Value => compare(site, "equal", x, Infinity);
  const negative = (): Value => compare(site, "equal", x, -Infinity);
  if (site.int("detect_positive", 1) === 0) return negative();
  return site.int("detect_negative", 1) === 0 ? positive() : site.emit("logicalOr", [positive(), negative()]);
}

function swish(site: Site): Value {
  const x = site.input(0);
  return mul(site, x, site.emit("logistic", [mul(site, x, site.float("alpha", 1))]));
}

function thresholded(site: Site): Value {
  const x = site.input(0);
  return select(site, compare(site, "greater", x, site.float("alpha", 1)), x, site.like(x, 0));
}

function shift(site: Site): Value {
  const [x, by] = [site.input(0), site.input(1)];
  return site.emit(site.text("direction", "LEFT") === "LEFT" ? "shiftLeft" : "shiftRight", [x, by]);
}

export const ELEMENTWISE: Rules = {
  Add: two("add"),
  Sub: two("sub"),
  Mul: two("mul"),
  Div: two("div"),
  Mod: mod,
  Pow: power,
  Max: extremeOf("maximum"),
  Min: extremeOf("minimum"),
  Sum: all(add),
  Mean: mean,
  Equal: comparison("equal"),
  Less: comparison("less"),
  LessOrEqual: comparison("lessEqual"),
  Greater: comparison("greater"),
  GreaterOrEqual: comparison("greaterEqual"),
  And: (site) => site.emit("logicalAnd", [site.input(0), site.input(1)]),
  Or: (site) => site.emit("logicalOr", [site.input(0), site.input(1)]),
  Xor: (site) => site.emit("notEqual", [site.input(0), site.input(1)]),
  Not: (site) => site.emit("logicalNot", [site.input(0)]),
  Where: (site) => select(site, site.input(0), site.input(1), site.input(2)),
  BitwiseAnd: (site) => site.emit("bitwiseAnd", [site.input(0), site.input(1)]),
  BitwiseOr: (site) => site.emit("bitwiseOr", [site.input(0), site.input(1)]),
  BitwiseXor: (site) => site.emit("bitwiseXor", [site.input(0), site.input(1)]),
  BitwiseNot: (site) => site.emit("bitwiseNot", [site.input(0)]),
  BitShift: shift,
  Abs: one("abs"),
  Neg: one("neg"),
  Sign: formula(sign),
  Floor: one("floor"),
  Ceil: one("ceil"),
  Round: one("round"),
  Sqrt: one("sqrt"),
  Reciprocal: formula((site, x) => div(site, 1, x)),
  Exp: one("exp"),
  Log: one("log"),
  Sin: one("sin"),
  Cos: one("cos"),
  Tan: formula((site, x) => div(site, site.emit("sin", [x]), site.emit("cos", [x]))),
  Asin: formula(arcSine),
  Acos: formula((site, x) => sub(site, Math.PI / 2, arcSine(site, x))),
  Atan: one("atan"),
  Sinh: formula((site, x) => half(site, sub(site, exp(site, x), exp(site, site.emit("neg", [x]))))),
  Cosh: formula((site, x) => half(site, add(site, exp(site, x), exp(site, site.emit("neg", [x]))))),
  Tanh: one("tanh"),
  Asinh: formula((site, x) => odd(site, x, (size) => log(site, add(site, size, sqrt(site, add(site, mul(site, size, size), 1)))))),
  Acosh: formula((site, x) => log(site, add(site, x, sqrt(site, sub(site, mul(site, x, x), 1))))),
  Atanh: formula((site, x) => half(site, log(site, div(site, add(site, 1, x), sub(site, 1, x))))),
  Erf: one("erf"),
  IsNaN: formula((site, x) => compare(site, "notEqual", x, x)),
  IsInf: isInfinite,
  Clip: clipRule,
  Relu: formula((site, x) => (x.dtype === "float32" ? site.emit("relu", [x]) : clip(site, x, 0, Infinity))),
  LeakyRelu: (site) => site.emit("leakyRelu", [site.input(0)], { alpha: site.float("alpha", 0.01) }),
  PRelu: prelu,
  ThresholdedRelu: thresholded,
  Elu: (site) => elu(site, site.input(0), site.float("alpha", 1)),
  Celu: (site) => {
    const alpha = site.float("alpha", 1);
    return mul(site, elu(site, div(site, site.input(0), alpha), 1), alpha);
  },
  Selu: (site) => elu(site, site.input(0), site.float("alpha", 1.67326319217681884765625), site.float("gamma", 1.05070102214813232421875)),
  Gelu: gelu,
  Sigmoid: one("logistic"),
  HardSigmoid: (site) => hardSigmoid(site, site.input(0), site.float("alpha", 0.2), site.float("beta", 0.5)),
  HardSwish: formula((site, x) => site.emit("hardSwish", [x])),
  Softplus: formula(softplus),
  Softsign: formula((site, x) => div(site, x, add(site, site.emit("abs", [x]), 1))),
  Mish: formula((site, x) => mul(site, x, site.emit("tanh", [softplus(site, x)]))),
  Swish: swish,
  Shrink: shrink,
};
