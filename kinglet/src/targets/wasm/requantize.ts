import { type Buffer, constant, type Expr, i32, type KernelBuilder, vector, vectorLoad } from "../../loops/index.ts";
import type { Multiplier } from "../../ops/index.ts";
import { type ChannelReach, type FloatRounding, proveRounding, resultEnds, ROUNDING_MAGIC } from "./rounding.ts";

/** How the sums of an int8 layer become results, chosen for the whole layer by what is proved of its channels. */
export interface Requantization {
  /** What each channel's sum starts from. */
  readonly bias: Int32Array;
  /** Channels whose result is the same for all inputs: their weights must be 0. */
  readonly cleared: readonly boolean[];
  /**
   * Puts the tables into a kernel; gives what loads four channels' entries, once for many sums, and what applies them.
   * @param zeroPoint is added to every result.
   */
  tables(k: KernelBuilder, zeroPoint: number): { load: (channel: Expr) => Expr[]; apply: (sums: Expr, loaded: readonly Expr[]) => Expr };
}

/** The magic number as an integer: the bits of a number added to it, less these, are the rounded number. */
export const BITS_OF_MAGIC = 0x4b400000;

/** Tables are read by whole vectors. */
function padded<T extends Int32Array | Float32Array | BigInt64Array>(table: T): T {
  const result = new (table.constructor as new (length: number) => T)(Math.ceil(table.length / 8) * 8);
  result.set(table as never);
  return result;
}

function loadFour(k: KernelBuilder, name: string, table: Buffer, channel: Expr, type: "i32x4" | "f32x4"): Expr {
  return k.let(name, vectorLoad(type, table, channel));
}

/** round(sum · scale + rounding) + centre by the magic number: five operations, seven where `rounding` takes the sum's sign. */
function floatForm(bias: Int32Array, forms: readonly FloatRounding[], signed: boolean): Requantization {
  const tables: Requantization["tables"] = (k, zeroPoint) => {
    const scale = k.constant("scale", "f32", padded(Float32Array.from(forms, (form) => form.scale)));
    const rounding = k.constant("rounding", "f32", padded(Float32Array.from(forms, (form) => form.rounding)));
    const centre = k.constant("centre", "i32", padded(Int32Array.from(forms, (form) => BITS_OF_MAGIC - form.centre - zeroPoint)));
    return {
      load: (channel) => [
        loadFour(k, "scales", scale, channel, "f32x4"),
        loadFour(k, "roundings", rounding, channel, "f32x4"),
        loadFour(k, "centres", centre, channel, "i32x4"),
      ],
      apply: (sums, [scales, roundings, centres]) => {
        const product = k.let("product", vector("f32x4.mul", [vector("f32x4.convert_i32x4_s", [sums]), scales!]));
        const moved = vector("f32x4.add", [product, signed ? withSign(roundings!, product) : roundings!]);
        const rounded = vector("f32x4.add", [moved, constant(ROUNDING_MAGIC, "f32x4")]);
        return vector("i32x4.sub", [vector("i32x4.of_f32x4", [rounded]), centres!]);
      },
    };
  };
  return { bias: Int32Array.from(bias, (b, c) => b - forms[c]!.offset), cleared: forms.map(() => false), tables };
}

/** Positive numbers with the signs of others. */
function withSign(size: Expr, sign: Expr): Expr {
  const bit = vector("i32x4.and", [vector("i32x4.of_f32x4", [sign]), constant(-(2 ** 31), "i32x4")]);
  return vector("f32x4.of_i32x4", [vector("i32x4.or", [vector("i32x4.of_f32x4", [size]), bit])]);
}

/** A channel for the integer form: 2^(1 + left + spare) before the high multiply, and the rounding after it. */
interface WideChannel {
  readonly bias: number;
  readonly cleared: boolean;
  readonly multiplier: Multiplier;
}

function wideChannel(c: ChannelReach, bias: number): WideChannel {
  const [first, last] = resultEnds(c);
  // 4r · 2^30 / 2^31 / 2 = r, whatever the form.
  if (first === last) return { bias: 4 * first, cleared: true, multiplier: { multiplier: 2 ** 30, shift: -1 } };
  return { bias, cleared: false, multiplier: c.multiplier };
}

/**
 * The two roundings of the definition in 64-bit products. All channels share the last shift, so channels that need
 * a smaller one are multiplied by a power of two first: nested divisions that round down are one division.
 */
function wideForm(bias: Int32Array, reaches: readonly ChannelReach[]): Requantization | undefined {
  const channels = reaches.map((reach, c) => wideChannel(reach, bias[c]!));
  const right = channels.map(({ multiplier }) => Math.max(0, -multiplier.shift));
  const last = Math.max(...right);
  const grow = channels.map(({ multiplier }, c) => 1 + Math.max(0, multiplier.shift) + last - right[c]!);
  const sizes = reaches.map((reach, c) => (channels[c]!.cleared ? Math.abs(channels[c]!.bias) : Math.max(Math.abs(reach.low), Math.abs(reach.high))));
  if (last > 30 || channels.some(({ multiplier }, c) => multiplier.multiplier <= 0 || grow[c]! > 30 || sizes[c]! * 2 ** grow[c]! >= 2 ** 31))
    return undefined;
  const ties = right.map((shift) => (shift === 0 ? 0 : 2 ** (last - shift)));
  const tables: Requantization["tables"] = (k, zeroPoint) => {
    const factor = k.constant("factor", "i32", padded(Int32Array.from(grow, (bits) => 2 ** bits)));
    const multiplier = k.constant("multiplier", "i32", padded(Int32Array.from(channels, (channel) => channel.multiplier.multiplier)));
    const half = k.constant("half", "i64", padded(BigInt64Array.from(right, (shift) => 1n << BigInt(31 + last - shift))));
    const tie = k.constant("tie", "i32", padded(Int32Array.from(ties)));
    const add = k.constant("add", "i32", padded(Int32Array.from(right, (shift) => (shift === 0 ? 0 : 2 ** (last - 1)))));
    const shift = k.int("last_shift", last);
    return {
      load: (channel) => [
        ...[factor, multiplier, tie, add].map((table) => loadFour(k, table.name, table, channel, "i32x4")),
        ...[0, 2].map((n) => k.let("halves", vectorLoad("i64x2", half, channel.add(n)))),
      ],
      apply: (sums, [factors, multipliers, tieBits, addends, low, high]) => {
        const grown = k.let("grown", vector("i32x4.mul", [sums, factors!]));
        const lows = vector("i64x2.add", [vector("i64x2.extmul_low_i32x4_s", [grown, multipliers!]), low!]);
        const highs = vector("i64x2.add", [vector("i64x2.extmul_high_i32x4_s", [grown, multipliers!]), high!]);
        const product = k.let("product", vector("i32x4.odd", [lows, highs]));
        const negative = vector("i32x4.and", [vector("i32x4.shr_s", [product, i32(31)]), tieBits!]);
        const moved = vector("i32x4.add", [vector("i32x4.sub", [product, negative]), addends!]);
        const result = vector("i32x4.shr_s", [moved, shift]);
        return zeroPoint === 0 ? result : vector("i32x4.add", [result, vector("i32x4.splat", [k.int("zero_point", zeroPoint)])]);
      },
    };
  };
  return { bias: Int32Array.from(channels, (channel) => channel.bias), cleared: channels.map((channel) => channel.cleared), tables };
}

/** True where the definition itself is defined: no sum leaves 32 bits, before or after its left shift. */
function isDefined({ low, high, multiplier }: ChannelReach): boolean {
  return Math.max(Math.abs(low), Math.abs(high)) * 2 ** Math.max(0, multiplier.shift) < 2 ** 31;
}

function proveAll(reaches: readonly ChannelReach[], signed: boolean): FloatRounding[] | undefined {
  const forms: FloatRounding[] = [];
  for (const reach of reaches) {
    const form = proveRounding(reach, signed);
    if (form === undefined) return undefined;
    forms.push(form);
  }
  return forms;
}

/**
 * The fastest form that is proved to give the definition's result in every channel: single precision without or
 * with the sign of the sum, then 64-bit products. Undefined where none is.
 * @param bias what each sum starts from; the reaches count it in.
 */
export function planRequantization(bias: Int32Array, reaches: readonly ChannelReach[]): Requantization | undefined {
  if (!reaches.every((reach) => isDefined(reach) || resultEnds(reach)[0] === resultEnds(reach)[1])) return undefined;
  const positive = reaches.every((reach) => reach.resultLow >= 0);
  for (const signed of positive ? [false, true] : [true]) {
    const forms = proveAll(reaches, signed);
    if (forms !== undefined) return floatForm(bias, forms, signed);
  }
  return wideForm(bias, reaches);
}
