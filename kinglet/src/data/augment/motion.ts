import { KingletError, type Xorshift32 } from "../../base/index.ts";
import { sineAndCosine } from "../portable-math.ts";
import { between, gaussian, unit } from "../seed.ts";
import type { Augment } from "./augment.ts";

const RADIANS_PER_DEGREE = 0.017453292519943295;
/** Pieces of a recording that a time warp stretches each by itself. */
const PIECES = 4;

/** Adds about normal noise of standard deviation `std` to every value. */
export function jitter(std: number): Augment {
  return (sample, _shape, random) => sample.map((value) => value + std * gaussian(random));
}

/** Multiplies all values by one factor from 1 - most to 1 + most. */
export function motionScale(most: number): Augment {
  return (sample, _shape, random) => {
    const factor = between(random, 1 - most, 1 + most);
    return sample.map((value) => value * factor);
  };
}

/** A direction, all equally likely: drawn from the cube until it falls into the ball. */
function direction(random: Xorshift32): [number, number, number] {
  for (;;) {
    const [x, y, z] = [random.float(), random.float(), random.float()];
    const square = x * x + y * y + z * z;
    if (square > 1 || square < 1e-4) continue;
    const length = Math.sqrt(square);
    return [x / length, y / length, z / length];
  }
}

/** The rotation by an angle about an axis, row by row (Rodrigues). */
function rotation([x, y, z]: readonly [number, number, number], angle: number): number[] {
  const { sine: s, cosine: c } = sineAndCosine(angle);
  const k = 1 - c;
  return [
    c + x * x * k,
    x * y * k - z * s,
    x * z * k + y * s,
    y * x * k + z * s,
    c + y * y * k,
    y * z * k - x * s,
    z * x * k - y * s,
    z * y * k + x * s,
    c + z * z * k,
  ];
}

/**
 * Turns the sensor: every three channels (acceleration, rotation rate, …) are one vector, and all are rotated alike about a random axis by up
 * to `degrees` (at most 180) either way.
 * @throws KingletError `misuse` where the channels are no whole number of vectors.
 */
export function rotate3d(degrees: number): Augment {
  return (sample, shape, random) => {
    if (shape.at(-1)! % 3 !== 0) throw new KingletError("misuse", `a rotation needs three channels for each sensor, and there are ${shape.at(-1)}`);
    const m = rotation(direction(random), between(random, -degrees, degrees) * RADIANS_PER_DEGREE);
    const out = new Float32Array(sample.length);
    for (let i = 0; i < sample.length; i += 3) {
      const [x, y, z] = [sample[i]!, sample[i + 1]!, sample[i + 2]!];
      for (let r = 0; r < 3; r++) out[i + r] = m[3 * r]! * x + m[3 * r + 1]! * y + m[3 * r + 2]! * z;
    }
    return out;
  };
}

/** Where each step of the new recording lies in the old one: first and last stay, the pieces between are stretched. */
function warpedTimes(length: number, most: number, random: Xorshift32): Float64Array {
  const speeds = Array.from({ length: PIECES }, () => 1 + most * (2 * unit(random) - 1));
  const times = new Float64Array(length);
  for (let t = 1; t < length; t++) times[t] = times[t - 1]! + speeds[Math.min(PIECES - 1, Math.floor(((t - 0.5) * PIECES) / (length - 1)))]!;
  const stretch = length > 1 ? (length - 1) / times[length - 1]! : 1;
  return times.map((time) => Math.min(length - 1, time * stretch));
}

/** Runs parts of a recording faster or slower, each by a speed from 1 - most to 1 + most (most below 1); its length stays. Linear between steps. */
export function timeWarp(most: number): Augment {
  return (sample, shape, random) => {
    const [length, channels] = shape as [number, number];
    const out = new Float32Array(sample.length);
    warpedTimes(length, most, random).forEach((time, t) => {
      const first = Math.min(Math.floor(time), Math.max(0, length - 2));
      const [share, next] = [time - first, Math.min(first + 1, length - 1)];
      for (let c = 0; c < channels; c++) out[t * channels + c] = (1 - share) * sample[first * channels + c]! + share * sample[next * channels + c]!;
    });
    return out;
  };
}
