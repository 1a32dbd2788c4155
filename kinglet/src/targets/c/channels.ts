import { compileHelper } from "../../loops/index.ts";
import { type Multiplier, requantize } from "../../ops/index.ts";

/** What is known of one output channel before any input is seen. */
export interface Channel {
  readonly bias: number;
  readonly multiplier: Multiplier;
  /** Every partial sum lies within plus or minus this. */
  readonly bound: number;
  /** Least and greatest sum. */
  readonly least: number;
  readonly most: number;
  /** The result is the same for all inputs: the weights do not matter. */
  readonly constant: boolean;
}

export interface ChannelInputs {
  /** What the sum starts from. */
  readonly bias: number;
  readonly weights: Iterable<number>;
  /** Least and greatest factor that can meet a weight. */
  readonly low: number;
  readonly high: number;
  readonly multiplier: Multiplier;
  /** Bounds of the stored result, less its zero point. */
  readonly resultLow: number;
  readonly resultHigh: number;
}

const exact = compileHelper(requantize);

/** Bias 4r, multiplier 1/2, shift 1: requantization gives r, whatever the form. */
function constantChannel(result: number): Channel {
  const bias = 4 * result;
  return { bias, multiplier: { multiplier: 2 ** 30, shift: -1 }, bound: Math.abs(bias), least: bias, most: bias, constant: true };
}

/**
 * Finds how large a channel's sums can get, and whether its result can change at all. Requantization never falls
 * when the sum rises, so equal results at both ends of the range mean one result for all inputs. Networks have such
 * channels where training let all weights of a channel fade: with a tiny scale their bias is as large as 32 bits allow.
 */
export function analyseChannel(c: ChannelInputs): Channel {
  let [least, most] = [c.bias, c.bias];
  let size = 0;
  for (const w of c.weights) {
    least += w > 0 ? w * c.low : w * c.high;
    most += w > 0 ? w * c.high : w * c.low;
    size += Math.abs(w);
  }
  const bound = Math.abs(c.bias) + size * Math.max(Math.abs(c.low), Math.abs(c.high));
  const { multiplier, shift } = c.multiplier;
  const grown = Math.max(Math.abs(least), Math.abs(most)) * 2 ** Math.max(0, shift);
  if (grown < 2 ** 31) {
    const result = (sum: number): number => Math.min(c.resultHigh, Math.max(c.resultLow, exact(sum, multiplier, shift)));
    if (result(least) === result(most)) return constantChannel(result(least));
  }
  return { bias: c.bias, multiplier: c.multiplier, bound, least, most, constant: false };
}
