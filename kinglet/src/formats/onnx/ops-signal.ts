import { elementCount } from "../../base/index.ts";
import type { Value } from "../../graph/index.ts";
import { mul } from "./math.ts";
import { elementType } from "./tensor.ts";
import { dense } from "./ops-matrix.ts";
import { sliced } from "./ops-movement.ts";
import type { Rule, Site } from "./site.ts";

/** A discrete Fourier transform: how many samples go in and come out, and which of them are complex. */
interface Transform {
  readonly points: number;
  readonly inverse: boolean;
  readonly inputs: number;
  readonly inputParts: number;
  readonly outputs: number;
  readonly outputParts: number;
}

/** Its matrix: rows are parts of outputs, columns parts of inputs. */
function transformMatrix({ points, inverse, inputs, inputParts, outputs, outputParts }: Transform): Float32Array {
  const columns = inputs * inputParts;
  // Half of a spectrum stands for both halves, but for its ends.
  const halved = inverse && outputParts === 1;
  return Float32Array.from({ length: outputs * outputParts * columns }, (_, at) => {
    const [row, column] = [Math.floor(at / columns), at % columns];
    const [k, toImaginary] = [Math.floor(row / outputParts), row % outputParts === 1];
    const [i, fromImaginary] = [Math.floor(column / inputParts), column % inputParts === 1];
    const phase = ((2 * Math.PI * ((i * k) % points)) / points) * (inverse ? 1 : -1);
    const value = toImaginary === fromImaginary ? Math.cos(phase) : toImaginary ? Math.sin(phase) : -Math.sin(phase);
    const twice = halved && i > 0 && 2 * i < points ? 2 : 1;
    return inverse ? (twice * value) / points : value;
  });
}

/** Transforms the next to last dimension of x [..., samples, 1 or 2]. */
function transformed(site: Site, x: Value, points: number, inverse: boolean, onesided: boolean): Value {
  const [samples, inputParts] = x.shape.slice(-2) as [number, number];
  const half = Math.floor(points / 2) + 1;
  const inputs = inverse && onesided ? half : points;
  const transform = {
    points,
    inverse,
    inputs: Math.min(inputs, samples),
    inputParts,
    outputs: onesided && !inverse ? half : points,
    outputParts: inverse && onesided ? 1 : 2,
  };
  // What is missing would be zeros; what is too much does not count.
  const used = samples > transform.inputs ? sliced(site, x, x.shape.length - 2, 0, transform.inputs) : x;
  const { outputs, outputParts } = transform;
  const columns = transform.inputs * inputParts;
  const lead = x.shape.slice(0, -2);
  site.importer.spend(4 * outputs * outputParts * columns, site.place);
  const matrix = site.constant(transformMatrix(transform), "float32", [outputs * outputParts, columns]);
  return site.reshape(dense(site, site.reshape(used, [elementCount(lead), columns]), matrix, null), [...lead, outputs, outputParts]);
}

function dft(site: Site): Value {
  const x = site.input(0);
  const rank = x.shape.length;
  const given = site.version >= 20 ? (site.numbers(2)?.[0] ?? -2) : site.int("axis", 1);
  const axis = site.axis(given, rank);
  if (axis === rank - 1) site.fail("the last dimension holds real and imaginary parts");
  const [inverse, onesided] = [site.int("inverse", 0) !== 0, site.int("onesided", 0) !== 0];
  const samples = x.shape[axis]!;
  const points = site.numbers(1)?.[0] ?? (inverse && onesided ? 2 * (samples - 1) : samples);
  if (!(points >= 1)) site.fail(`a transform of ${points} points`);
  const order = [...x.shape.map((_, d) => d).filter((d) => d !== axis && d !== rank - 1), axis, rank - 1];
  const y = transformed(site, site.transpose(x, order), points, inverse, onesided);
  return site.transpose(
    y,
    order.map((_, d) => order.indexOf(d)),
  );
}

/** Transforms of frames that overlap: [batch, frames, bins, 2]. */
function stft(site: Site): Value {
  const given = site.input(0);
  const signal = given.shape.length === 2 ? site.reshape(given, [...given.shape, 1]) : given;
  const window = site.optional(2);
  const step = site.numbers(1)?.[0] ?? site.fail("it has no frame_step");
  const length = site.numbers(3)?.[0] ?? (window === null ? site.fail("it has neither window nor frame_length") : elementCount(window.shape));
  const frames = Math.floor((signal.shape[1]! - length) / step) + 1;
  if (!(step >= 1 && length >= 1 && frames >= 1)) site.fail(`frames of ${length} samples every ${step} do not fit ${signal.shape[1]} samples`);
  site.importer.spend(4 * frames * length, site.place);
  const table = Int32Array.from({ length: frames * length }, (_, i) => Math.floor(i / length) * step + (i % length));
  const cut = site.emit("gather", [signal, site.constant(table, "int32", [frames, length])], { axis: 1, batchDims: 0 });
  const shaped = window === null ? cut : mul(site, cut, site.reshape(window, [length, 1]));
  return transformed(site, shaped, length, false, site.int("onesided", 1) !== 0);
}

/** Triangles on the mel scale over the bins of a spectrum, [bins, bands]; evaluated when the file is read. */
function melWeightMatrix(site: Site): Value {
  const [bands, points, rate, lowest, highest] = [0, 1, 2, 3, 4].map((i) => site.numbers(i)?.[0] ?? site.fail(`input ${i} is missing`)) as [
    number,
    number,
    number,
    number,
    number,
  ];
  const bins = Math.floor(points / 2) + 1;
  if (!(bands >= 1 && bins >= 1 && rate > 0 && bands * bins <= 2 ** 26)) site.fail(`${bands} bands of ${bins} bins at ${rate} Hz`);
  site.importer.spend(4 * bands * bins, site.place);
  const mel = (hertz: number): number => 2595 * Math.log10(1 + hertz / 700);
  const step = (mel(highest) - mel(lowest)) / (bands + 2);
  const edges = Array.from({ length: bands + 2 }, (_, i) => {
    const hertz = 700 * (10 ** ((i * step + mel(lowest)) / 2595) - 1);
    return Math.floor(((points + 1) * hertz) / rate);
  });
  const weight = (bin: number, band: number): number => {
    const [from, peak, to] = [edges[band]!, edges[band + 1]!, edges[band + 2]!];
    if (bin === peak) return 1;
    if (bin < peak) return bin >= from ? (bin - from) / (peak - from) : 0;
    return bin < to ? (to - bin) / (to - peak) : 0;
  };
  const element = elementType(site.int("output_datatype", 1), site.place);
  const weights = Array.from({ length: bins * bands }, (_, i) => weight(Math.floor(i / bands), i % bands));
  return site.importer.mark(site.reshape(site.importer.numbers(weights, element.dtype), [bins, bands]), element);
}

export const SIGNAL: Readonly<Record<string, Rule>> = { DFT: dft, STFT: stft, MelWeightMatrix: melWeightMatrix };
