import { elementCount } from "../base/index.ts";
import type { Node, ValueType } from "../graph/index.ts";
import type { Expr, KernelBuilder, KernelInstance } from "../loops/index.ts";
import { makeCase, oneType, typed } from "./elementwise.ts";
import { FLOAT_FFT, FftWriter, fftMultiplications, isFftLength, LONGEST_FFT, SHORT_FFT, SHORTEST_FFT } from "./fft.ts";
import { attributesOf, inputOf, type OpCase, type OpDef, outputOf, refuse, suffixOf, typeAt } from "./op.ts";

export interface RfftAttributes {
  /** A power of two from 8 to 4096; shorter rows are filled with zeros, longer ones cut. */
  readonly fftLength: number;
  /** True: real and imaginary parts in turn along the last dimension, as TensorFlow Lite Micro's SignalRfft has them. */
  readonly flat?: boolean;
}

export function checkFftLength(op: string, length: number): void {
  if (!isFftLength(length)) refuse(op, `the length ${length} is not a power of two from ${SHORTEST_FFT} to ${LONGEST_FFT}`);
}

function rfftLoops(k: KernelBuilder, node: Node): KernelInstance {
  const { fftLength } = attributesOf<RfftAttributes>(node);
  const dtype = oneType(node, ["float32", "int16"]);
  const { shape } = inputOf(node, 0);
  const size = shape[shape.length - 1]!;
  const [input, output] = [k.input(0, "x"), k.output(0, "spectrum")];
  const fft = new FftWriter(k, dtype === "float32" ? FLOAT_FFT : SHORT_FFT, fftLength);
  k.for("row", 0, k.int("rows", elementCount(shape) / size), (row) => {
    const first = k.let("first", row.mul(k.int("row_length", size)));
    const base = k.let("base", row.mul(k.int("row_numbers", fftLength + 2)));
    fft.write(output, base, { length: Math.min(size, fftLength), read: (i) => input.load(first.add(i)) });
  });
  return k.finish(`rfft_${suffixOf(dtype)}`, "Spectrum of real rows: a fast Fourier transform of radix 4.");
}

function rfftCase(name: string, dtype: "float32" | "int16", shape: number[], fftLength: number, flat = false): OpCase {
  const bins = fftLength / 2 + 1;
  const out = [...shape.slice(0, -1), ...(flat ? [2 * bins] : [bins, 2])];
  return makeCase(name, [typed(dtype, shape)], typed(dtype, out), flat ? { fftLength, flat } : { fftLength });
}

/**
 * [.., length] → [.., fftLength/2 + 1, 2], the non-negative frequencies as real and imaginary part. float32 as
 * tf.signal.rfft; int16 is fixed point (Q15) and gives 1/fftLength of it, with the bits of TensorFlow Lite Micro.
 */
export const rfft: OpDef = {
  name: "rfft",
  infer(inputs, attributes) {
    const x = typeAt("rfft", inputs, 0);
    const { fftLength, flat } = attributesOf<RfftAttributes>({ attributes });
    if (x.shape.length === 0) refuse("rfft", "a scalar has no spectrum");
    checkFftLength("rfft", fftLength);
    const bins = fftLength / 2 + 1;
    return [{ dtype: x.dtype, shape: [...x.shape.slice(0, -1), ...(flat === true ? [2 * bins] : [bins, 2])] }];
  },
  loops: rfftLoops,
  macs: (node) => {
    const { fftLength } = attributesOf<RfftAttributes>(node);
    return (elementCount(outputOf(node).shape) / (fftLength + 2)) * fftMultiplications(fftLength);
  },
  cases: [
    rfftCase("float, 8", "float32", [3, 8], 8),
    rfftCase("float, 16 with a pass of radix 2", "float32", [2, 16], 16),
    rfftCase("float, 64 of 37", "float32", [2, 2, 37], 64),
    rfftCase("float, 512 of 480", "float32", [480], 512),
    rfftCase("float, cut", "float32", [2, 50], 32),
    rfftCase("float, 4096", "float32", [1, 4000], 4096),
    rfftCase("int16, 8", "int16", [2, 8], 8),
    rfftCase("int16, 128 of 100", "int16", [3, 100], 128),
    rfftCase("int16, 512 of 480", "int16", [480], 512, true),
    rfftCase("int16, 2048", "int16", [2, 1800], 2048, true),
  ],
};

export interface SpectrumPowerAttributes {
  /** 1: magnitude; 2: its square. */
  readonly power: number;
}

/** |z| or |z|² of one bin. */
export function powerOf(re: Expr, im: Expr, power: number): Expr {
  const square = re.mul(re).add(im.mul(im));
  return power === 1 ? square.sqrt() : square;
}

export function checkPower(op: string, power: number): void {
  if (power !== 1 && power !== 2) refuse(op, `the power ${power} is neither 1 (magnitudes) nor 2 (energies)`);
}

function complexShape(x: ValueType): number[] {
  if (x.shape[x.shape.length - 1] !== 2) refuse("spectrumPower", `[${x.shape.join(",")}] does not end in real and imaginary part`);
  return x.shape.slice(0, -1);
}

/** [.., bins, 2] → [.., bins]: magnitudes or their squares. */
export const spectrumPower: OpDef = {
  name: "spectrumPower",
  infer(inputs, attributes) {
    const x = typeAt("spectrumPower", inputs, 0);
    checkPower("spectrumPower", attributesOf<SpectrumPowerAttributes>({ attributes }).power);
    return [{ dtype: x.dtype, shape: complexShape(x) }];
  },
  loops(k, node) {
    oneType(node, ["float32"]);
    const { power } = attributesOf<SpectrumPowerAttributes>(node);
    const [input, output] = [k.input(0, "spectrum"), k.output(0, "y")];
    k.for("i", 0, k.int("count", elementCount(outputOf(node).shape)), (i) => {
      const [re, im] = [k.let("re", input.load(i.mul(2))), k.let("im", input.load(i.mul(2).add(1)))];
      output.store(i, powerOf(re, im, power));
    });
    return k.finish(`spectrum_${power === 1 ? "magnitude" : "energy"}_f32`, "Size of complex numbers.");
  },
  macs: (node) => 2 * elementCount(outputOf(node).shape),
  cases: [1, 2].map((power) => makeCase(power === 1 ? "magnitude" : "energy", [typed("float32", [3, 5, 2])], typed("float32", [3, 5]), { power })),
};
