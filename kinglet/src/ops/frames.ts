import type { Node } from "../graph/index.ts";
import { type Buffer, constant, type Expr, f32, i32, type KernelBuilder, type KernelInstance } from "../loops/index.ts";
import { makeCase, scalarOf, typed } from "./elementwise.ts";
import { FLOAT_FFT, FftWriter, fftMultiplications } from "./fft.ts";
import { bandProducts, BandWriter } from "./filter-bank.ts";
import { attributesOf, inputOf, type OpCase, type OpDef, outputOf, refuse, suffixOf, typeAt, unsupportedTypes } from "./op.ts";
import { checkFftLength, checkPower, powerOf } from "./rfft.ts";

export interface FramesAttributes {
  readonly length: number;
  /** From the start of a frame to that of the next. */
  readonly step: number;
  /** True: frames begin as long as there are samples, with zeros behind the last one. */
  readonly padEnd: boolean;
}

/** How many frames there are, as tf.signal.frame counts. */
function frameCount(samples: number, { length, step, padEnd }: FramesAttributes): number {
  return padEnd ? Math.ceil(samples / step) : Math.max(0, 1 + Math.floor((samples - length) / step));
}

function checkFrames(op: string, samples: number, a: FramesAttributes): number {
  if (![a.length, a.step].every((n) => Number.isInteger(n) && n >= 1)) refuse(op, `frames of ${a.length} every ${a.step} samples`);
  const count = frameCount(samples, a);
  if (count < 1) refuse(op, `${samples} samples are fewer than a frame of ${a.length}`);
  return count;
}

function framesLoops(k: KernelBuilder, node: Node): KernelInstance {
  const a = attributesOf<FramesAttributes>(node);
  const x = inputOf(node, 0);
  const [rows, count] = outputOf(node).shape as [number, number];
  const [input, output] = [k.input(0, "x"), k.output(0, "y")];
  const [length, samples] = [k.int("length", a.length), k.int("samples", x.shape[1]!)];
  k.for("row", 0, k.int("rows", rows), (row) =>
    k.for("frame", 0, k.int("frames", count), (frame) => {
      const start = k.let("start", frame.mul(k.int("step", a.step)));
      const to = k.let("to", row.mul(k.int("frames", count)).add(frame).mul(length));
      const here = a.padEnd ? k.let("here", samples.sub(start).min(length)) : length;
      k.copy(output, to, input, row.mul(samples).add(start), here);
      if (a.padEnd) k.for("i", here, length, (i) => output.store(to.add(i), constant(0, scalarOf(node, x))));
    }),
  );
  return k.finish(`frames_${suffixOf(x.dtype)}`, "Cuts overlapping frames out of rows.");
}

const TYPES = ["float32", "int16", "int8"] as const;

/** Samples [n, samples] → [n, frames, length], as tf.signal.frame. */
export const frames: OpDef = {
  name: "frames",
  infer(inputs, attributes) {
    const x = typeAt("frames", inputs, 0, 2);
    const a = attributesOf<FramesAttributes>({ attributes });
    return [{ dtype: x.dtype, shape: [x.shape[0]!, checkFrames("frames", x.shape[1]!, a), a.length] }];
  },
  loops: framesLoops,
  cases: TYPES.flatMap((dtype) => [
    makeCase(`${dtype}`, [typed(dtype, [2, 50])], typed(dtype, [2, 5, 12]), { length: 12, step: 9, padEnd: false }),
    makeCase(`${dtype}, zeros behind`, [typed(dtype, [2, 50])], typed(dtype, [2, 6, 12]), { length: 12, step: 9, padEnd: true }),
  ]),
};

export interface SpectrogramAttributes extends FramesAttributes {
  readonly fftLength: number;
  /** 1: magnitudes; 2: their squares. */
  readonly power: number;
}

const SPECTROGRAM = "spectrogram";

/** A sample as a number; behind the end there are zeros. */
function sampleReader(k: KernelBuilder, input: Buffer, first: Expr, start: Expr, samples: Expr, padEnd: boolean): (i: Expr) => Expr {
  if (!padEnd) return (i) => input.load(first.add(i)).to("f32");
  return (i) => {
    const sample = k.variable("sample", f32(0));
    k.if(start.add(i).lt(samples), () => sample.set(input.load(first.add(i)).to("f32")));
    return sample.get();
  };
}

/** Sizes of the bins, in place: bin `b` is read from 2b and 2b + 1, which lie behind all that was written. */
function binSizes(k: KernelBuilder, work: Buffer, to: Buffer, first: Expr, bins: number, power: number): void {
  k.for("b", 0, k.int("bins", bins), (b) => {
    const [re, im] = [k.let("bin_re", work.load(b.mul(2))), k.let("bin_im", work.load(b.mul(2).add(1)))];
    to.store(first.add(b), powerOf(re, im, power));
  });
}

function spectrogramLoops(k: KernelBuilder, node: Node): KernelInstance {
  const a = attributesOf<SpectrogramAttributes>(node);
  const [x, y] = [inputOf(node, 0), outputOf(node)];
  if ((x.dtype !== "float32" && x.dtype !== "int16") || inputOf(node, 1).dtype !== "float32" || y.dtype !== "float32") throw unsupportedTypes(node);
  const [input, window] = [k.input(0, "x"), k.input(1, "window")];
  const filters = node.inputs[2] ?? undefined;
  const bands = filters === undefined ? undefined : new BandWriter(k, node, filters);
  const output = k.output(0, "y");
  const fft = new FftWriter(k, FLOAT_FFT, a.fftLength);
  const work = k.scratch("work", "f32", a.fftLength + 2);
  const [rows, count, width] = y.shape as [number, number, number];
  const samples = k.int("samples", x.shape[1]!);
  k.for("row", 0, k.int("rows", rows), (row) =>
    k.for("frame", 0, k.int("frames", count), (frame) => {
      const start = k.let("frame_start", frame.mul(k.int("step", a.step)));
      const read = sampleReader(k, input, k.let("first", row.mul(samples).add(start)), start, samples, a.padEnd);
      fft.write(work, i32(0), { length: Math.min(a.length, a.fftLength), read: (i) => read(i).mul(window.load(i)) });
      const to = k.let("out", row.mul(k.int("frames", count)).add(frame).mul(k.int("width", width)));
      binSizes(k, work, bands === undefined ? output : work, bands === undefined ? to : i32(0), a.fftLength / 2 + 1, a.power);
      bands?.write(work, i32(0), output, to);
    }),
  );
  return k.finish(`spectrogram_${suffixOf(x.dtype)}`, "Spectra of windowed frames, one frame at a time.");
}

function spectrogramMacs(node: Node): number {
  const { length, fftLength } = attributesOf<SpectrogramAttributes>(node);
  const [rows, count] = outputOf(node).shape as [number, number];
  const filters = node.inputs[2] ?? undefined;
  return rows * count * (length + fftMultiplications(fftLength) + fftLength + 2 + (filters === undefined ? 0 : bandProducts(node, filters)));
}

function spectrogramCase(name: string, dtype: "float32" | "int16", bands: number | undefined, attributes: SpectrogramAttributes): OpCase {
  const bins = attributes.fftLength / 2 + 1;
  const filters = bands === undefined ? [] : [{ ...typed("float32", [bins, bands]), constant: true }];
  const inputs = [typed(dtype, [2, 100]), { ...typed("float32", [attributes.length]), constant: true }, ...filters];
  return makeCase(name, inputs, typed("float32", [2, frameCount(100, attributes), bands ?? bins]), { ...attributes });
}

/**
 * Samples [n, samples] (float32, or int16 as whole numbers), a window [length] and perhaps constant filters [bins,
 * bands] → [n, frames, bins] or [n, frames, bands]. The same bits as `frames`, `mul`, `rfft`, `spectrumPower` and
 * `filterBank` one after another, but only one frame of them is ever in memory.
 */
export const spectrogram: OpDef = {
  name: SPECTROGRAM,
  infer(inputs, attributes) {
    const [x, window] = [typeAt(SPECTROGRAM, inputs, 0, 2), typeAt(SPECTROGRAM, inputs, 1, 1)];
    const a = attributesOf<SpectrogramAttributes>({ attributes });
    checkFftLength(SPECTROGRAM, a.fftLength);
    checkPower(SPECTROGRAM, a.power);
    const count = checkFrames(SPECTROGRAM, x.shape[1]!, a);
    const bins = a.fftLength / 2 + 1;
    if (window.shape[0] !== a.length) refuse(SPECTROGRAM, `a window of ${window.shape[0]} does not fit frames of ${a.length}`);
    const filters = inputs[2] ?? undefined;
    if (filters !== undefined && (filters.shape.length !== 2 || filters.shape[0] !== bins))
      refuse(SPECTROGRAM, `filters [${filters.shape.join(",")}] do not fit ${bins} bins`);
    return [{ dtype: "float32", shape: [x.shape[0]!, count, filters?.shape[1] ?? bins] }];
  },
  loops: spectrogramLoops,
  macs: spectrogramMacs,
  cases: [
    spectrogramCase("magnitudes", "float32", undefined, { length: 30, step: 17, padEnd: false, fftLength: 32, power: 1 }),
    spectrogramCase("energies under filters", "float32", 5, { length: 40, step: 20, padEnd: false, fftLength: 64, power: 2 }),
    spectrogramCase("of int16, zeros behind", "int16", 4, { length: 16, step: 30, padEnd: true, fftLength: 16, power: 1 }),
  ],
};
