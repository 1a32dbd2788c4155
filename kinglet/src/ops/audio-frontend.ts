import { elementCount } from "../base/index.ts";
import type { Node } from "../graph/index.ts";
import { constant, defineFunction, type Expr, type Func, i32, type KernelBuilder, type KernelInstance } from "../loops/index.ts";
import { eachElement, makeCase, typed } from "./elementwise.ts";
import { wrapShort } from "./fixed.ts";
import { attributesOf, type CaseInput, inputOf, type OpDef, outputOf, refuse, typeAt, unsupportedTypes } from "./op.ts";

/**
 * Steps of the fixed-point audio front end of TensorFlow Lite Micro's signal library, to the bit. Its 32 and 64-bit
 * numbers are unsigned; here they are the same bits as signed numbers.
 */

export function checkShift(op: string, name: string, shift: number, most = 31): void {
  if (!Number.isInteger(shift) || shift < 0 || shift > most) refuse(op, `${name} is ${shift}; it must lie between 0 and ${most}`);
}

export function needTypes(node: Node, inputs: readonly string[], outputs: readonly string[]): void {
  const same = (values: Node["inputs"], types: readonly string[]): boolean => types.every((type, i) => values[i]?.dtype === type);
  if (!same(node.inputs, inputs) || !same(node.outputs, outputs)) throw unsupportedTypes(node);
}

/** A uint32 tensor for a case: any bits below 2^31 and above `low`. */
export function unsignedCase(shape: number[], high = 2 ** 31 - 1, low = 0): CaseInput {
  return { dtype: "uint32", shape, low, high };
}

export interface SignalWindowAttributes {
  readonly shift: number;
}

/** [.., n] int16 · window [n] int16 / 2^shift, cut to 16 bits. */
export const signalWindow: OpDef = {
  name: "signalWindow",
  infer(inputs, attributes) {
    const [x, window] = [typeAt("signalWindow", inputs, 0), typeAt("signalWindow", inputs, 1, 1)];
    checkShift("signalWindow", "the shift", attributesOf<SignalWindowAttributes>({ attributes }).shift);
    if (x.shape[x.shape.length - 1] !== window.shape[0]) refuse("signalWindow", `a window of ${window.shape[0]} does not fit [${x.shape.join(",")}]`);
    return [{ dtype: x.dtype, shape: x.shape }];
  },
  loops(k, node) {
    needTypes(node, ["int16", "int16"], ["int16"]);
    const size = inputOf(node, 1).shape[0]!;
    const [x, window, y] = [k.input(0, "x"), k.input(1, "window"), k.output(0, "y")];
    k.for("row", 0, k.int("rows", elementCount(inputOf(node, 0).shape) / size), (row) => {
      const first = k.let("first", row.mul(k.int("size", size)));
      k.for("i", 0, k.int("size", size), (i) => {
        const product = x
          .load(first.add(i))
          .mul(window.load(i))
          .shr(k.int("shift", attributesOf<SignalWindowAttributes>(node).shift));
        y.store(first.add(i), product.clamp(-32768, 32767));
      });
    });
    return k.finish("signal_window_s16", "A window over every row, in fixed point.");
  },
  macs: (node) => elementCount(outputOf(node).shape),
  cases: [makeCase("rows", [typed("int16", [3, 40]), { ...typed("int16", [40]), constant: true }], typed("int16", [3, 40]), { shift: 12 })],
};

/** The bits that `x` needs as an unsigned number; 32 for 0, as that library counts them. */
const significantBits = (x: Expr): Expr => x.eq(0).select(i32(32), i32(32).sub(x.clz()));

function autoScaleLoops(k: KernelBuilder, node: Node): KernelInstance {
  needTypes(node, ["int16"], ["int16", "int32"]);
  const [x, y, bits] = [k.input(0, "x"), k.output(0, "y"), k.output(1, "bits")];
  const largest = k.variable("largest", i32(0));
  eachElement(k, inputOf(node, 0).shape, (i) => {
    const value = k.let("value", x.load(i));
    const mirrored = k.let("mirrored", value.neg());
    // The magnitude of -32768 has no place in 16 bits and becomes -32768 itself.
    const next = value.gt(largest.get()).select(value, mirrored.gt(largest.get()).select(wrapShort(mirrored), largest.get()));
    largest.set(next);
  });
  const scale = k.let(
    "scale",
    i32(15)
      .sub(significantBits(k.let("size", largest.get())))
      .max(0),
  );
  bits.store(0, scale);
  eachElement(k, inputOf(node, 0).shape, (i) => y.store(i, x.load(i).shl(scale)));
  return k.finish("fft_auto_scale_s16", "Shifts numbers up until the largest uses all 15 bits.");
}

/** int16 → the same numbers shifted up as far as 16 bits allow, and by how many bits (an int32 scalar). */
export const fftAutoScale: OpDef = {
  name: "fftAutoScale",
  infer(inputs) {
    const x = typeAt("fftAutoScale", inputs, 0);
    return [
      { dtype: x.dtype, shape: x.shape },
      { dtype: "int32", shape: [] },
    ];
  },
  loops: autoScaleLoops,
  cases: [
    [-40, 37],
    [-32768, 32767],
    [0, 0],
  ].map(([low, high]) => ({
    name: `${low} to ${high}`,
    inputs: [{ ...typed("int16", [50]), low: low!, high: high! }],
    outputs: [typed("int16", [50]), typed("int32", [])],
    attributes: {},
  })),
};

export interface SpectrumEnergyAttributes {
  /** Bins from `start` to below `end` are computed; the others are 0. */
  readonly start: number;
  readonly end: number;
}

/** int16 spectrum with real and imaginary parts in turn [2 · bins] → uint32 squared magnitudes [bins]. */
export const spectrumEnergy: OpDef = {
  name: "spectrumEnergy",
  infer(inputs, attributes) {
    const x = typeAt("spectrumEnergy", inputs, 0, 1);
    const { start, end } = attributesOf<SpectrumEnergyAttributes>({ attributes });
    const bins = x.shape[0]! / 2;
    if (!Number.isInteger(bins) || !(start >= 0 && start <= end && end <= bins)) refuse("spectrumEnergy", `bins ${start} to ${end} of ${bins}`);
    return [{ dtype: "uint32", shape: [bins] }];
  },
  loops(k, node) {
    needTypes(node, ["int16"], ["uint32"]);
    const { start, end } = attributesOf<SpectrumEnergyAttributes>(node);
    const [x, y] = [k.input(0, "spectrum"), k.output(0, "energy")];
    const [from, to] = [k.int("start", start), k.int("end", end)];
    k.for("i", 0, k.int("bins", outputOf(node).shape[0]!), (i) => {
      const [re, im] = [k.let("re", x.load(i.mul(2))), k.let("im", x.load(i.mul(2).add(1)))];
      const inside = i.ge(from).and(i.lt(to));
      y.store(i, inside.select(re.mul(re).wrapAdd(im.mul(im)), i32(0)));
    });
    return k.finish("spectrum_energy_s16", "Squared magnitudes of complex numbers.");
  },
  macs: (node) => 2 * elementCount(outputOf(node).shape),
  cases: [makeCase("some bins", [typed("int16", [66])], typed("uint32", [33]), { start: 1, end: 30 })],
};

/** The largest 64-bit bit: flipping it turns signed comparisons into unsigned ones. */
const TOP = -(2n ** 63n);

/** Square root bit by bit, rounded to nearest; a root of 32 bits or less stays at its largest number. */
const squareRoot: Func = defineFunction("square_root_u64", "Square root of an unsigned number, rounded.", { x: "i64" }, "i32", (f, x) => {
  const high = f.let("high", x!.shru(32).to("i32"));
  const narrow = f.let("narrow", high.eq(0));
  const zeros = f.let("zeros", narrow.select(x!.to("i32"), high).clz());
  // The highest even power of two that is not above x; a number of 0 leaves all steps out.
  const place = f.let("place", narrow.select(i32(31), i32(63)).sub(zeros.or(1)).max(0));
  const rest = f.variable("rest", x!);
  const root = f.variable("root", constant(0, "i64"));
  const bit = f.variable("bit", constant(1, "i64").shl(place.to("i64")));
  f.for("step", 0, x!.ne(0).select(place.shr(1).add(1), i32(0)), () => {
    const next = f.let("next", root.get().wrapAdd(bit.get()));
    const fits = f.let(
      "fits",
      rest
        .get()
        .xor(constant(TOP, "i64"))
        .ge(next.xor(constant(TOP, "i64"))),
    );
    rest.set(fits.select(rest.get().wrapSub(next), rest.get()));
    root.set(
      root
        .get()
        .shru(1)
        .add(fits.select(bit.get(), constant(0, "i64"))),
    );
    bit.set(bit.get().shru(2));
  });
  const limit = f.let("limit", narrow.select(constant(0xffff, "i64"), constant(0xffffffff, "i64")));
  const up = f.let("up", rest.get().gt(root.get()).and(root.get().ne(limit)));
  f.return(root.get().add(up.to("i64")).to("i32"));
});

/** uint64 → uint32: the square root / 2^bits, `bits` being the scalar of `fftAutoScale`. */
export const filterBankSquareRoot: OpDef = {
  name: "filterBankSquareRoot",
  infer(inputs) {
    const [x, bits] = [typeAt("filterBankSquareRoot", inputs, 0), typeAt("filterBankSquareRoot", inputs, 1)];
    if (elementCount(bits.shape) !== 1) refuse("filterBankSquareRoot", "the number of bits is not one number");
    return [{ dtype: "uint32", shape: x.shape }];
  },
  loops(k, node) {
    needTypes(node, ["uint64", "int32"], ["uint32"]);
    const [x, bits, y] = [k.input(0, "x"), k.input(1, "bits"), k.output(0, "y")];
    const shift = k.let("shift", bits.load(0).and(31));
    eachElement(k, inputOf(node, 0).shape, (i) => y.store(i, k.call(squareRoot, x.load(i)).shru(shift)));
    return k.finish("filter_bank_square_root", "Square roots of unsigned numbers, shifted down.");
  },
  cases: (
    [
      ["small", 0, 70],
      ["large", 0, 2 ** 31 - 1],
      ["of 64 bits", 2 ** 50, 2 ** 50 + 2 ** 31],
    ] as const
  ).map(([name, low, high]) =>
    makeCase(
      name,
      [
        { dtype: "uint64", shape: [40], low, high },
        { dtype: "int32", shape: [], low: 0, high: 14 },
      ],
      { dtype: "uint32", shape: [40] },
    ),
  ),
};

/** log2(1 + t) − t at t = 0, 1/128 … 1 in 1/65536, and one more entry so that the last can be interpolated. */
function logTable(): Uint16Array {
  const entries = Array.from({ length: 129 }, (_, i) => Math.round(65536 * (Math.log2(1 + i / 128) - i / 128)));
  return Uint16Array.from([...entries, 0]);
}

/** 65536 · ln 2, and 65536 = 2^16. */
const LN2_Q16 = 45426;

export interface FilterBankLogAttributes {
  /** How many bits the inputs are shifted up first. */
  readonly correctionBits: number;
  /** What a natural logarithm of 1 becomes. */
  readonly outputScale: number;
}

/** uint32 → int16: outputScale · ln(x · 2^correctionBits), 0 up to 1, with a table of log2 for the fraction. */
export const filterBankLog: OpDef = {
  name: "filterBankLog",
  infer(inputs, attributes) {
    const { correctionBits, outputScale } = attributesOf<FilterBankLogAttributes>({ attributes });
    checkShift("filterBankLog", "the number of correction bits", correctionBits);
    if (!Number.isInteger(outputScale) || Math.abs(outputScale) >= 2 ** 31) refuse("filterBankLog", `the output scale is ${outputScale}`);
    return [{ dtype: "int16", shape: typeAt("filterBankLog", inputs, 0).shape }];
  },
  loops(k, node) {
    needTypes(node, ["uint32"], ["int16"]);
    const a = attributesOf<FilterBankLogAttributes>(node);
    const [x, table, y] = [k.input(0, "x"), k.constant("log2_table", "u16", logTable()), k.output(0, "y")];
    eachElement(k, inputOf(node, 0).shape, (i) => {
      const value = k.let("value", x.load(i).shl(k.int("correction_bits", a.correctionBits)));
      const whole = k.let("whole", i32(31).sub(value.or(1).clz()));
      const over = k.let("over", value.wrapSub(i32(1).shl(whole)));
      const rest = k.let("rest", whole.lt(16).select(over.shl(i32(16).sub(whole).max(0)), over.shr(whole.sub(16).max(0))));
      // 128 segments of 512 steps; a value of 0 has no segment.
      const segment = k.let("segment", rest.shr(9).clamp(0, 127));
      const low = k.let("low", table.load(segment));
      const part = table.load(segment.add(1)).sub(low).mul(rest.and(511)).shr(16);
      const log2 = k.let("log2", whole.shl(16).add(rest).add(low).add(part));
      const natural = log2.to("i64").mul(LN2_Q16).add(32768).shr(16).to("i32");
      const scaled = k.let("scaled", natural.wrapMul(k.int("output_scale", a.outputScale)).wrapAdd(32768).shru(16));
      y.store(i, value.shru(1).eq(0).select(i32(0), scaled.min(32767)));
    });
    return k.finish("filter_bank_log", "Natural logarithm in fixed point.");
  },
  cases: [
    makeCase("no correction", [unsignedCase([60])], typed("int16", [60]), { correctionBits: 0, outputScale: 64 }),
    makeCase("corrected, small", [unsignedCase([60], 40)], typed("int16", [60]), { correctionBits: 3, outputScale: 1600 }),
  ],
};
