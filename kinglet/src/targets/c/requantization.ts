import { highProduct, type StoredChannel, type Thresholds, thresholdsOf } from "./thresholds.ts";

/**
 * Requantization of sums that are 256 times the real ones (see `packLanes`), in two or four instructions instead of
 * seven. With A = 256·sum + offset:
 *
 *   ramp:  ((A · multiplier) / 2^32 + rounding) / 2^shift                             limited to int8
 *   steps: ((A · multiplier) / 2^32 + rounding − (A < 0 ? step : 0)) / 2^shift        limited to int8
 *
 * where divisions round down. Shift is the layer's, and in the first form rounding, too; the rest is a channel's.
 * Rounding, zero point and limits are only thresholds on the sum, at most 255 of them: numbers are searched for and
 * taken when every threshold is where the specification has it. The step is one unit of the specification's first
 * rounding: ties round away from zero, so sums below zero need that much less. Layers whose results never lie below the
 * zero point (ReLU) do without.
 */
export interface ChannelRequantization {
  readonly multiplier: number;
  readonly offset: number;
  readonly rounding: number;
  /** What sums below zero lose; 0 where no result lies below the zero point. */
  readonly step: number;
}

export interface Requantization {
  readonly form: "ramp" | "steps";
  readonly shift: number;
  readonly channels: readonly ChannelRequantization[];
}

/** How many times the real sum such a kernel's sums are. */
export const SUM_SCALE = 256;

/** More would let the zero point leave 32 bits. */
const LARGEST_SHIFT = 22;

/** Layers with one shift can share a kernel: this one is tried first, then a multiple of the step. */
const USUAL_SHIFT = 12;
const SHIFT_STEP = 3;

/** Multipliers tried on either side of the nominal one, and roundings tried for a channel of its own. */
const MULTIPLIERS = 64;
const ROUNDINGS = 40;

/** What the instructions give before the last shift. */
function raised(sum: number, c: ChannelRequantization): number {
  const a = SUM_SCALE * sum + c.offset;
  return highProduct(a, c.multiplier) + c.rounding - (a < 0 ? c.step : 0);
}

function fits(value: number): boolean {
  return value >= -(2 ** 31) && value < 2 ** 31;
}

/** True where no word of the instructions leaves 32 bits between the channel's least and greatest sum. */
function wordsFit(c: ChannelRequantization, channel: StoredChannel): boolean {
  return [channel.least, channel.most].every(
    (sum) => fits(SUM_SCALE * sum + c.offset) && fits(raised(sum, c)) && fits(raised(sum, { ...c, step: 0 })) && fits(c.rounding - c.step),
  );
}

/**
 * True where a channel's numbers are proved to give the specified result for every sum from `least` to `most`: the
 * result never falls when the sum rises, its words fit, and it passes each threshold where it must.
 */
export function isProved(c: ChannelRequantization, shift: number, channel: StoredChannel, { first, sums }: Thresholds): boolean {
  if (c.step < 0 || c.multiplier < 0 || c.multiplier >= 2 ** 31 || !wordsFit(c, channel)) return false;
  const unit = 2 ** shift;
  const reaches = (sum: number, result: number): boolean => raised(sum, c) >= result * unit;
  if (first > channel.low && !reaches(channel.least, first)) return false;
  if (first + sums.length < channel.high && reaches(channel.most, first + sums.length + 1)) return false;
  return sums.every((sum, i) => reaches(sum, first + 1 + i) && !reaches(sum - 1, first + 1 + i));
}

/** An offset that puts every threshold between its sum and the one before, up to what doubles round; undefined where there is none. */
function offsetFor(c: Omit<ChannelRequantization, "offset">, shift: number, { first, sums }: Thresholds): number | undefined {
  const unit = 2 ** shift;
  let [low, high] = [-Infinity, Infinity];
  for (let i = 0; i < sums.length; i++) {
    const sum = sums[i]!;
    const wanted = (first + 1 + i) * unit - c.rounding;
    low = Math.max(low, Math.ceil(((wanted + (sum < 0 ? c.step : 0)) * 2 ** 32) / c.multiplier) - SUM_SCALE * sum);
    high = Math.min(high, Math.ceil(((wanted + (sum < 1 ? c.step : 0)) * 2 ** 32) / c.multiplier) - 1 - SUM_SCALE * (sum - 1));
    if (low > high) return undefined;
  }
  return Math.floor((low + high) / 2);
}

function realMultiplier(c: StoredChannel): number {
  return (c.multiplier.multiplier / 2 ** 31) * 2 ** c.multiplier.shift;
}

/** A channel with one result needs only an offset that hits its middle. */
function constantChannel(result: number, channel: StoredChannel, rounding: number, shift: number): ChannelRequantization {
  const offset = 4 * ((result + 0.5) * 2 ** shift - rounding) - SUM_SCALE * channel.least;
  return { multiplier: 2 ** 30, offset, rounding, step: 0 };
}

/** Multipliers near the nominal one, nearest first, so far apart that each moves the last threshold by about 1/2000 of a sum. */
function* multipliersNear(channel: StoredChannel, shift: number): Generator<number> {
  const nominal = Math.round(realMultiplier(channel) * 2 ** (shift + 24));
  const gap = Math.max(1, Math.floor((realMultiplier(channel) * nominal) / 2 ** 19));
  for (let i = 0; i <= 2 * MULTIPLIERS; i++) {
    const multiplier = nominal + gap * (i % 2 === 0 ? i / 2 : -(i + 1) / 2);
    if (multiplier > 0 && multiplier < 2 ** 31) yield multiplier;
  }
}

/** Searches a channel's multiplier and offset. */
function findChannel(
  channel: StoredChannel,
  thresholds: Thresholds,
  step: number,
  rounding: number,
  shift: number,
): ChannelRequantization | undefined {
  if (thresholds.sums.length === 0) {
    const found = constantChannel(thresholds.first, channel, rounding, shift);
    return isProved(found, shift, channel, thresholds) ? found : undefined;
  }
  for (const multiplier of multipliersNear(channel, shift)) {
    const offset = offsetFor({ multiplier, rounding, step }, shift, thresholds);
    if (offset === undefined) continue;
    const found = { multiplier, offset, rounding, step };
    if (isProved(found, shift, channel, thresholds)) return found;
  }
  return undefined;
}

/** The same with a rounding of the channel's own: it shifts the thresholds by fractions of what the offset can. */
function findSteps(channel: StoredChannel, thresholds: Thresholds, rounding: number, shift: number): ChannelRequantization | undefined {
  const step = channel.multiplier.shift < 0 && thresholds.sums.length > 0 ? Math.floor(2 ** (shift + channel.multiplier.shift)) : 0;
  for (let i = 0; i < ROUNDINGS; i++) {
    const found =
      findChannel(channel, thresholds, step, rounding + i, shift) ?? (i === 0 ? findChannel(channel, thresholds, 0, rounding, shift) : undefined);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** The greatest shift for which the multipliers of all channels that can change stay below 2^31. */
function layerShift(channels: readonly StoredChannel[], thresholds: readonly Thresholds[]): number {
  const most = channels.reduce((m, channel, i) => (thresholds[i]!.sums.length === 0 ? m : Math.max(m, realMultiplier(channel))), 0);
  if (most === 0) return LARGEST_SHIFT;
  return Math.min(LARGEST_SHIFT, Math.floor(Math.log2((2 ** 31 - 1) / most)) - 24);
}

/** All results of `find`, or undefined from the first channel on that has none. */
function forEach(
  channels: readonly StoredChannel[],
  find: (channel: StoredChannel, i: number) => ChannelRequantization | undefined,
): ChannelRequantization[] | undefined {
  const found: ChannelRequantization[] = [];
  for (const [i, channel] of channels.entries()) {
    const each = find(channel, i);
    if (each === undefined) return undefined;
    found.push(each);
  }
  return found;
}

/**
 * Searches a layer's requantization for sums that are 256 times the real ones, the shorter form first. Undefined where
 * the thresholds of some channel cannot all be met: the layer then takes the specification's own steps.
 */
export function findRequantization(channels: readonly StoredChannel[]): Requantization | undefined {
  const thresholds = channels.map(thresholdsOf);
  const most = layerShift(channels, thresholds);
  if (most < 1 || channels.length === 0) return undefined;
  const tried = [USUAL_SHIFT, most - (most % SHIFT_STEP), most].filter((shift, i, all) => shift > 0 && shift <= most && all.indexOf(shift) === i);
  let best: Requantization | undefined;
  for (const shift of tried) {
    best = findWithShift(channels, thresholds, shift) ?? best;
    if (best?.form === "ramp") break;
  }
  return best;
}

/** The shorter form first. */
function findWithShift(channels: readonly StoredChannel[], thresholds: readonly Thresholds[], shift: number): Requantization | undefined {
  const rounding = channels[0]!.zeroPoint * 2 ** shift + 2 ** (shift - 1);
  const ramp = forEach(channels, (channel, i) => findChannel(channel, thresholds[i]!, 0, rounding, shift));
  if (ramp !== undefined) return { form: "ramp", shift, channels: ramp };
  const steps = forEach(channels, (channel, i) => findSteps(channel, thresholds[i]!, rounding, shift));
  return steps === undefined ? undefined : { form: "steps", shift, channels: steps };
}
