import type { TypedArray } from "../base/index.ts";
import { type Buffer, type Expr, f32, i32, type KernelBuilder, type MemoryType, type ScalarType } from "../loops/index.ts";
import { wrapShort } from "./fixed.ts";

/**
 * The transform of N real numbers as a complex one of N/2: neighbours are real and imaginary part. Decimation in
 * time; radix 4, after one pass of radix 2 where log2(N/2) is odd. The first pass has no factors and takes its inputs in
 * digit-reversed order, so that it also moves them into the working buffer. Both arithmetics order their
 * operations as KISS FFT does, which the signal library of TensorFlow Lite Micro uses: int16 gives its bits.
 */

export interface Complex {
  readonly re: Expr;
  readonly im: Expr;
}

/** What an element type makes of the steps of the transform. */
export interface FftArithmetic {
  readonly memory: MemoryType;
  readonly type: ScalarType;
  /** Before a pass that adds 2 or 4 numbers: fixed point divides them so that sums fit. */
  shrink(x: Expr, terms: 2 | 4): Expr;
  /** Of two factors in that order. */
  product(a: Complex, w: Complex): Complex;
  /** What is left of a sum in an element. */
  narrow(x: Expr): Expr;
  halve(x: Expr): Expr;
  /** A table of factors from their real and imaginary parts. */
  table(parts: readonly number[]): TypedArray;
}

export const FLOAT_FFT: FftArithmetic = {
  memory: "f32",
  type: "f32",
  shrink: (x) => x,
  product: (a, w) => ({ re: a.re.mul(w.re).sub(a.im.mul(w.im)), im: a.re.mul(w.im).add(a.im.mul(w.re)) }),
  narrow: (x) => x,
  halve: (x) => x.mul(0.5),
  table: (parts) => Float32Array.from(parts),
};

/** A product of Q15 numbers, rounded to Q15. */
const rounded = (product: Expr): Expr => product.add(1 << 14).shr(15);

/** Q15: a number is divided by 2 or 4 by multiplying with the largest factor that is not above it. */
export const SHORT_FFT: FftArithmetic = {
  memory: "i16",
  type: "i32",
  shrink: (x, terms) => rounded(x.mul(Math.floor(32767 / terms))),
  product: (a, w) => ({ re: rounded(a.re.mul(w.re).sub(a.im.mul(w.im))), im: rounded(a.re.mul(w.im).add(a.im.mul(w.re))) }),
  narrow: wrapShort,
  halve: (x) => x.shr(1),
  table: (parts) => Int16Array.from(parts, (part) => Math.floor(0.5 + 32767 * part)),
};

export const SHORTEST_FFT = 8;
export const LONGEST_FFT = 4096;

export function isFftLength(length: number): boolean {
  return Number.isInteger(length) && length >= SHORTEST_FFT && length <= LONGEST_FFT && (length & (length - 1)) === 0;
}

interface Radices {
  /** Of the pass without factors. */
  readonly first: 2 | 4;
  /** How many passes of radix 4 follow it. */
  readonly more: number;
}

function radicesOf(half: number): Radices {
  const bits = Math.log2(half);
  return bits % 2 === 0 ? { first: 4, more: bits / 2 - 1 } : { first: 2, more: (bits - 1) / 2 };
}

/**
 * Where the first input of a group of the first pass lies: the digits of its number (base 4) in reverse. A table would
 * be as fast, but the planner cannot look through one, and the output could not lie over the input.
 */
function reversedDigits(group: Expr, digits: number): Expr {
  const moved = Array.from({ length: digits }, (_, d) =>
    group
      .shr(2 * d)
      .and(3)
      .shl(2 * (digits - 1 - d)),
  );
  return moved.length === 0 ? i32(0) : moved.reduce((sum, digit) => sum.add(digit));
}

/** Real and imaginary parts of e^(−2πi · turns(t)) for t = 0 … count − 1. */
function unitCircle(count: number, turns: (t: number) => number): number[] {
  return Array.from({ length: count }, (_, t) => -2 * Math.PI * turns(t)).flatMap((phase) => [Math.cos(phase), Math.sin(phase)]);
}

/** Multiplications of real numbers in one transform. */
export function fftMultiplications(length: number): number {
  const half = length / 2;
  return radicesOf(half).more * 3 * half + 2 * half;
}

/** The real input of a transform: element `i`, which is below `length`; zeros follow up to the transform's length. */
export interface FftInput {
  readonly length: number;
  read(i: Expr): Expr;
}

/** Writes the transform of one row. Tables are asked for once in a kernel, so make one of these before the loops. */
export class FftWriter {
  private readonly k: KernelBuilder;
  private readonly arithmetic: FftArithmetic;
  private readonly length: number;
  private readonly radices: Radices;
  private readonly factors: Buffer | undefined;
  private readonly split: Buffer;

  /** @param length N, a power of two from 8 to 4096. */
  constructor(k: KernelBuilder, arithmetic: FftArithmetic, length: number) {
    this.k = k;
    this.arithmetic = arithmetic;
    this.length = length;
    const half = length / 2;
    this.radices = radicesOf(half);
    const table = (name: string, parts: number[]): Buffer => k.constant(name, arithmetic.memory, arithmetic.table(parts));
    this.factors =
      this.radices.more === 0
        ? undefined
        : table(
            "factors",
            unitCircle((3 * half) / 4, (t) => t / half),
          );
    this.split = table(
      "split",
      unitCircle(half / 2, (t) => (t + 1) / length + 0.25),
    );
  }

  /**
   * The N/2 + 1 bins of the spectrum, real and imaginary part in turn, into N + 2 elements of `work` from `base` on.
   * Fixed point gives 1/N of them.
   */
  write(work: Buffer, base: Expr, input: FftInput): void {
    this.firstPass(work, base, input);
    if (this.factors !== undefined) this.passes(work, base, this.factors);
    this.splitSpectrum(work, base);
  }

  /** Element `i`, of which only is known that it lies in part `part` of `parts`; zero behind the input's end. */
  private padded(input: FftInput, i: Expr, part: number, parts: number): Expr {
    const zero = this.arithmetic.type === "f32" ? f32(0) : i32(0);
    const [from, to] = [(part * this.length) / parts, ((part + 1) * this.length) / parts];
    if (to <= input.length) return input.read(i);
    if (from >= input.length) return zero;
    const value = this.k.variable("padded", zero);
    this.k.if(i.lt(this.k.int("input_length", input.length)), () => value.set(input.read(i)));
    return value.get();
  }

  private firstPass(work: Buffer, base: Expr, input: FftInput): void {
    const { k, arithmetic } = this;
    const radix = this.radices.first;
    const groups = this.length / 2 / radix;
    k.for("group", 0, k.int("groups", groups), (group) => {
      const from = k.let("from", reversedDigits(group, this.radices.more).mul(2));
      const inputs = Array.from({ length: radix }, (_, part): Complex => {
        const at = part === 0 ? from : k.let(`from_${part}`, from.add(k.int(`part_${part}`, 2 * groups * part)));
        const one = (i: Expr): Expr => arithmetic.shrink(this.padded(input, i, part, radix), radix);
        return { re: k.let(`re_${part}`, one(at)), im: k.let(`im_${part}`, one(at.add(1))) };
      });
      const outputs = radix === 4 ? this.butterfly4(inputs) : this.butterfly2(inputs);
      const to = k.let("to", base.add(group.mul(2 * radix)));
      outputs.forEach((value, part) => this.store(work, part === 0 ? to : to.add(2 * part), value));
    });
  }

  /** The sums of every pass of radix 4 behind the first; `span` elements apart. */
  private passes(work: Buffer, base: Expr, factors: Buffer): void {
    const { k, arithmetic } = this;
    const { first, more } = this.radices;
    const [spans, steps] = [k.variable("next_span", i32(first)), k.variable("next_step", k.int("first_step", this.length / 8 / first))];
    k.for("pass", 0, k.int("passes", more), () => {
      const [span, step] = [k.let("span", spans.get()), k.let("step", steps.get())];
      const apart = k.let("apart", span.mul(2));
      k.for("j", 0, span, (j) => {
        const turn = k.let("turn", j.mul(step).mul(2));
        const weights = [1, 2, 3].map((part) => this.load(`w${part}`, factors, part === 1 ? turn : turn.mul(part)));
        // As many groups as steps of a factor.
        k.for("group", 0, step, (group) => {
          const at = [k.let("at", base.add(group.mul(4).mul(span).add(j).mul(2)))];
          for (let part = 1; part < 4; part++) at.push(k.let(`at_${part}`, at[part - 1]!.add(apart)));
          const inputs = at.map((index, part) => {
            const stored = this.shrunk(`x${part}`, work, index, 4);
            return part === 0 ? stored : this.named(`p${part}`, arithmetic.product(stored, weights[part - 1]!));
          });
          this.butterfly4(inputs).forEach((value, part) => this.store(work, at[part]!, value));
        });
      });
      spans.set(span.mul(4));
      steps.set(step.shr(2));
    });
  }

  /** Takes the spectra of the even and the odd numbers apart, and makes that of all. */
  private splitSpectrum(work: Buffer, base: Expr): void {
    const { k, arithmetic } = this;
    const { narrow, halve, shrink } = arithmetic;
    const last = k.int("last", this.length);
    const dc = this.shrunk("dc", work, base, 2);
    const none = arithmetic.type === "f32" ? f32(0) : i32(0);
    this.store(work, base, { re: dc.re.add(dc.im), im: none });
    this.store(work, base.add(last), { re: dc.re.sub(dc.im), im: none });
    k.for("bin", 1, k.int("middle", this.length / 4).add(1), (bin) => {
      const low = k.let("low", base.add(bin.mul(2)));
      const high = k.let("high", base.add(last).sub(bin.mul(2)));
      const p = this.shrunk("p", work, low, 2);
      const mirrored = this.load("m", work, high);
      const q = this.named("q", { re: shrink(mirrored.re, 2), im: shrink(narrow(mirrored.im.neg()), 2) });
      const even = this.named("even", { re: p.re.add(q.re), im: p.im.add(q.im) });
      const difference = this.named("difference", { re: p.re.sub(q.re), im: p.im.sub(q.im) });
      const turned = arithmetic.product(difference, this.load("w", this.split, bin.mul(2).sub(2)));
      const odd = this.named("odd", { re: narrow(turned.re), im: narrow(turned.im) });
      this.store(work, low, { re: halve(even.re.add(odd.re)), im: halve(even.im.add(odd.im)) });
      this.store(work, high, { re: halve(even.re.sub(odd.re)), im: halve(odd.im.sub(even.im)) });
    });
  }

  private butterfly2([a, b]: readonly Complex[]): Complex[] {
    return [
      { re: a!.re.add(b!.re), im: a!.im.add(b!.im) },
      { re: a!.re.sub(b!.re), im: a!.im.sub(b!.im) },
    ];
  }

  /** A transform of four: factors ±1 and ±i. */
  private butterfly4([a, b, c, d]: readonly Complex[]): Complex[] {
    const sum = this.named("ac", { re: a!.re.add(c!.re), im: a!.im.add(c!.im) });
    const gap = this.named("ac_gap", { re: a!.re.sub(c!.re), im: a!.im.sub(c!.im) });
    const other = this.named("bd", { re: b!.re.add(d!.re), im: b!.im.add(d!.im) });
    const otherGap = this.named("bd_gap", { re: b!.re.sub(d!.re), im: b!.im.sub(d!.im) });
    return [
      { re: sum.re.add(other.re), im: sum.im.add(other.im) },
      { re: gap.re.add(otherGap.im), im: gap.im.sub(otherGap.re) },
      { re: sum.re.sub(other.re), im: sum.im.sub(other.im) },
      { re: gap.re.sub(otherGap.im), im: gap.im.add(otherGap.re) },
    ];
  }

  private named(name: string, value: Complex): Complex {
    return { re: this.k.let(`${name}_re`, value.re), im: this.k.let(`${name}_im`, value.im) };
  }

  private load(name: string, buffer: Buffer, at: Expr): Complex {
    return this.named(name, { re: buffer.load(at), im: buffer.load(at.add(1)) });
  }

  private shrunk(name: string, buffer: Buffer, at: Expr, terms: 2 | 4): Complex {
    const { shrink } = this.arithmetic;
    return this.named(name, { re: shrink(buffer.load(at), terms), im: shrink(buffer.load(at.add(1)), terms) });
  }

  private store(buffer: Buffer, at: Expr, { re, im }: Complex): void {
    buffer.store(at, re);
    buffer.store(at.add(1), im);
  }
}
