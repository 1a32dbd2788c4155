import { exp } from "../portable-math.ts";
import { between, gaussian } from "../seed.ts";
import type { Augment } from "./augment.ts";

const NEPER_PER_DECIBEL = 0.11512925464970229;

function rootMeanSquare(signal: Float32Array): number {
  return Math.sqrt(signal.reduce((sum, value) => sum + value * value, 0) / signal.length);
}

/** Moves a signal by up to `most` steps either way; zeros come in. */
export function audioShift(most: number): Augment {
  return (sample, shape, random) => {
    const channels = shape.at(-1)!;
    const offset = random.int(-most, most) * channels;
    const out = new Float32Array(sample.length);
    if (offset >= 0) out.set(sample.subarray(0, Math.max(0, sample.length - offset)), Math.min(offset, sample.length));
    else out.set(sample.subarray(Math.min(-offset, sample.length)));
    return out;
  };
}

/** Plays a signal faster and higher, or slower and lower, by a speed from 1 - most to 1 + most; zeros follow where it ends early. Linear between steps. */
export function audioSpeed(most: number): Augment {
  return (sample, shape, random) => {
    const [speed, channels] = [between(random, 1 - most, 1 + most), shape.at(-1)!];
    const [out, last] = [new Float32Array(sample.length), sample.length / channels - 1];
    for (let t = 0; t <= last && t * speed <= last; t++) {
      const first = Math.floor(t * speed);
      const [share, next] = [t * speed - first, Math.min(first + 1, last)];
      for (let c = 0; c < channels; c++) out[t * channels + c] = (1 - share) * sample[first * channels + c]! + share * sample[next * channels + c]!;
    }
    return out;
  };
}

/** Makes a signal louder or softer by `low` to `high` decibels. */
export function audioGain(low: number, high: number): Augment {
  return (sample, _shape, random) => {
    const factor = exp(between(random, low, high) * NEPER_PER_DECIBEL);
    return sample.map((value) => value * factor);
  };
}

/**
 * Makes a signal brighter or duller, as other microphones and rooms do: the step before it is subtracted by a share that is drawn from
 * -most to most.
 */
export function audioTilt(most: number): Augment {
  return (sample, shape, random) => {
    const [share, channels] = [between(random, -most, most), shape.at(-1)!];
    return sample.map((value, i) => value - share * (sample[i - channels] ?? 0));
  };
}

/** Adds about normal noise, whose standard deviation is drawn from 0 to `most`. */
export function audioNoise(most: number): Augment {
  return (sample, _shape, random) => {
    const level = between(random, 0, most);
    return sample.map((value) => value + level * gaussian(random));
  };
}

/** Adds a piece of one of the recorded noises, whose loudness is drawn from 0 to `most` times the recording's. Noises repeat where they are short. */
export function audioBackground(noises: readonly Float32Array[], most: number): Augment {
  return (sample, _shape, random) => {
    if (noises.length === 0) return sample.slice();
    const noise = noises[random.int(0, noises.length - 1)]!;
    const [start, level] = [random.int(0, noise.length - 1), between(random, 0, most)];
    return sample.map((value, i) => value + level * noise[(start + i) % noise.length]!);
  };
}

/** Adds a piece of one of the recorded noises so that the signal is `low` to `high` decibels louder than it. Silence stays silent. */
export function audioSnr(noises: readonly Float32Array[], low: number, high: number): Augment {
  const levels = noises.map(rootMeanSquare);
  return (sample, _shape, random) => {
    if (noises.length === 0) return sample.slice();
    const which = random.int(0, noises.length - 1);
    const noise = noises[which]!;
    const [start, ratio] = [random.int(0, noise.length - 1), exp(-between(random, low, high) * NEPER_PER_DECIBEL)];
    const level = levels[which]! > 0 ? (ratio * rootMeanSquare(sample)) / levels[which]! : 0;
    return sample.map((value, i) => value + level * noise[(start + i) % noise.length]!);
  };
}
