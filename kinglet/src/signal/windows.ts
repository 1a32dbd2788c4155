import { misuse } from "./node.ts";

/** a − (1 − a) · cos(2πi / n), where n is the length if it is even and the window periodic, else one less. */
function raisedCosine(length: number, periodic: boolean, a: number): Float32Array {
  if (!Number.isInteger(length) || length < 1) misuse(`a window of ${length} samples`);
  if (length === 1) return Float32Array.of(1);
  const period = length - (periodic && length % 2 === 0 ? 0 : 1);
  return Float32Array.from({ length }, (_, i) => a - (1 - a) * Math.cos((2 * Math.PI * i) / period));
}

/** The Hann window, as tf.signal.hann_window has it (also where an odd length is called periodic). */
export function hannWindow(length: number, periodic = true): Float32Array {
  return raisedCosine(length, periodic, 0.5);
}

/** The Hamming window, as tf.signal.hamming_window has it. */
export function hammingWindow(length: number, periodic = true): Float32Array {
  return raisedCosine(length, periodic, 0.54);
}
