import { type Command, InvalidArgumentError, Option } from "commander";
import { KingletError } from "../base/index.ts";
import {
  checkPrivacy,
  type Combination,
  type Compression,
  type FederationPlan,
  type Privacy,
  type SecureRules,
  STRATEGIES,
  type Strategy,
} from "../federated/index.ts";
import { positive } from "./arguments.ts";

/** How a federation learns, simulated or real. */
export interface LearningOptions {
  readonly rounds: number;
  readonly share: number;
  readonly strategy: keyof typeof STRATEGIES;
  readonly combine?: Combination;
  readonly epochs: number;
  readonly batch: number;
  readonly rate: number;
  readonly decay: number;
  readonly average?: number;
  readonly seed?: number;
  readonly compress: string;
  readonly clip?: number;
  readonly noise?: number;
  readonly budget?: number;
  readonly delta: number;
  readonly secure?: true;
  readonly threshold?: number;
  readonly devices?: true;
}

/** What a federation and its simulation are told alike. */
export type Learning = Pick<FederationPlan, "strategy" | "local" | "compression" | "privacy">;

/** An option's number from `least`, or above it, to `most`. */
export function above(least: number, most: number, inclusive: boolean): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!(value > least || (inclusive && value === least)) || !(value <= most))
      throw new InvalidArgumentError(`Give a number ${inclusive ? "from" : "above"} ${least}${most === Number.MAX_VALUE ? "" : ` to ${most}`}.`);
    return value;
  };
}

/** Every rule by its name, with its numbers behind colons. Undefined where they are none of its. */
const RULES: Readonly<Record<string, (numbers: readonly number[]) => Combination | undefined>> = {
  mean: (numbers) => (numbers.length === 0 ? { kind: "mean" } : undefined),
  clipped: ([most, ...rest]) => (most !== undefined && most > 0 && rest.length === 0 ? { kind: "clippedMean", most } : undefined),
  median: (numbers) => (numbers.length === 0 ? { kind: "median" } : undefined),
  trimmed: ([cut, ...rest]) => (cut !== undefined && cut >= 0 && cut < 0.5 && rest.length === 0 ? { kind: "trimmedMean", cut } : undefined),
  krum: ([bad, keep = 1, ...rest]) => (isCount(bad) && isCount(keep) && keep >= 1 && rest.length === 0 ? { kind: "krum", bad, keep } : undefined),
  bulyan: ([bad, ...rest]) => (isCount(bad) && rest.length === 0 ? { kind: "bulyan", bad } : undefined),
};

function isCount(value: number | undefined): value is number {
  return value !== undefined && Number.isInteger(value) && value >= 0;
}

function combination(text: string): Combination {
  const [name, ...numbers] = text.split(":") as [string, ...string[]];
  const rule = numbers.every((number) => /^\d+(\.\d+)?$/.test(number)) ? RULES[name]?.(numbers.map(Number)) : undefined;
  if (rule === undefined)
    throw new InvalidArgumentError("Give mean, clipped:LENGTH, median, trimmed:SHARE, krum:BAD, krum:BAD:KEEP or bulyan:BAD, such as trimmed:0.2.");
  return rule;
}

/** "none", "8bit", "4bit" or "top:0.01". */
function compressionOf(text: string): Compression {
  if (text === "none") return { kind: "none" };
  if (text === "8bit" || text === "4bit") return { kind: "quantize", bits: text === "8bit" ? 8 : 4 };
  const share = text.startsWith("top:") ? Number(text.slice(4)) : Number.NaN;
  if (share > 0 && share <= 1) return { kind: "topK", share };
  throw new KingletError("misuse", `--compress is ${text}; possible are none, 8bit, 4bit and top:SHARE`);
}

/**
 * The strategy of this name, with another rule where one is given.
 * @throws KingletError `misuse` for one that asks more of clients than microcontrollers do.
 */
function strategyOf({ strategy: name, combine, average, devices }: LearningOptions): Strategy {
  const strategy: Strategy = {
    ...STRATEGIES[name],
    ...(combine === undefined ? {} : { combination: combine }),
    ...(average === undefined ? {} : { averageDecay: average }),
  };
  if (devices === true && (strategy.proximal !== undefined || strategy.control === true))
    throw new KingletError("misuse", `microcontrollers learn by plain gradient descent, and ${name} adds to it`, {
      hint: "Leave out --devices, or take another strategy.",
    });
  return strategy;
}

/** How clients train. */
function localOf({ epochs, batch, rate, decay }: LearningOptions): FederationPlan["local"] {
  return { optimizer: { kind: "sgd", momentum: 0 }, epochs, batchSize: batch, rate, ...(decay === 1 ? {} : { rateDecay: decay }) };
}

/** What the words ask of privacy. @throws KingletError `misuse` for half of it, or beside a strategy that it is not counted for. */
function privacyOf(options: LearningOptions): Privacy | undefined {
  const { clip, noise, budget, delta } = options;
  if ((clip === undefined) !== (noise === undefined)) throw new KingletError("misuse", "privacy needs both --clip and --noise");
  if (budget !== undefined && noise === undefined) throw new KingletError("misuse", "a budget needs --clip and --noise");
  const privacy = clip === undefined || noise === undefined ? undefined : { clip, noise, delta, ...(budget === undefined ? {} : { budget }) };
  checkPrivacy(strategyOf(options), privacy);
  return privacy;
}

/** How clients and coordinator learn, simulated or real. @throws KingletError `misuse` for words that make no sense, or none together. */
export function learningOf(options: LearningOptions): Learning {
  const privacy = privacyOf(options);
  return {
    strategy: strategyOf(options),
    local: localOf(options),
    compression: compressionOf(options.compress),
    ...(privacy === undefined ? {} : { privacy }),
  };
}

/** What the words ask of secure aggregation. @throws KingletError `misuse` for half of it. */
export function secureOf({ secure, threshold }: LearningOptions): Partial<Pick<SecureRules, "threshold">> | undefined {
  if (secure === undefined && threshold !== undefined) throw new KingletError("misuse", "--threshold needs --secure");
  return secure === undefined ? undefined : threshold === undefined ? {} : { threshold };
}

/** What a sweep takes several values of. */
export const SWEPT = ["strategy", "epochs", "batch", "rate", "seed"] as const satisfies readonly (keyof LearningOptions)[];
export type Swept = (typeof SWEPT)[number];

type Parser = (text: string) => unknown;

/** Each of the values between commas, once. */
function each(parse: Parser): Parser {
  return (text) => [...new Set(text.split(",").map(parse))];
}

function strategyNamed(text: string): string {
  if (Object.hasOwn(STRATEGIES, text)) return text;
  throw new InvalidArgumentError(`Possible are ${Object.keys(STRATEGIES).join(", ")}.`);
}

/** @param several for a sweep: values are lists. */
export function learningFlags(command: Command, several = false): Command {
  const read = (parse: Parser): Parser => (several ? each(parse) : parse);
  const first = <T>(value: T): T | T[] => (several ? [value] : value);
  const strategy = new Option("--strategy <name>", "how clients and coordinator learn")
    .choices(Object.keys(STRATEGIES))
    .argParser(read(strategyNamed));
  return command
    .option("--rounds <n>", "how many there are", positive, 50)
    .addOption(new Option("--share <share>", "of the clients in a round").argParser(above(0, 1, false)).default(0.1))
    .addOption(strategy.default(first("fedavg")))
    .addOption(
      new Option(
        "--combine <rule>",
        "how updates become one, instead of the strategy's rule: mean; clipped:LENGTH, the mean of updates no longer than that; median; trimmed:SHARE, " +
          "without that share at each end; krum:BAD, the update nearest to most others where BAD may be anything; krum:BAD:KEEP, the mean of the KEEP " +
          "nearest (Multi-Krum); bulyan:BAD",
      ).argParser(combination),
    )
    .addOption(new Option("--epochs <n>", "passes over a client's samples in a round").argParser(read(positive)).default(first(1)))
    .addOption(new Option("--batch <n>", "samples of a step").argParser(read(positive)).default(first(10)))
    .addOption(new Option("--rate <rate>", "of the clients' gradient descent").argParser(read(above(0, 1e3, false))).default(first(0.1)))
    .addOption(new Option("--decay <factor>", "what the rate is multiplied by after each version").argParser(above(0, 1, false)).default(1))
    .addOption(
      new Option(
        "--average <share>",
        "judges and exports a moving average of the versions, of which a round keeps this share (0.8 to 0.95): steadier where clients differ",
      ).argParser(above(0, 0.999, false)),
    )
    .option("--devices", "microcontrollers take part: batch normalization is folded into the layers before, and no sample is augmented")
    .option("--compress <how>", "how updates travel: none, 8bit, 4bit or top:SHARE", "none")
    .addOption(new Option("--clip <length>", "privacy: updates are shortened to this").argParser(above(0, Number.MAX_VALUE, false)))
    .addOption(new Option("--noise <factor>", "privacy: noise on their sum, in such lengths").argParser(above(0, 1e6, true)))
    .addOption(new Option("--budget <epsilon>", "privacy: ends before ε is larger").argParser(above(0, Number.MAX_VALUE, false)))
    .addOption(new Option("--delta <delta>", "privacy: the δ that ε is for").argParser(above(0, 0.5, false)).default(1e-5))
    .option("--secure", "updates are added up so that the coordinator sees nothing but their sum")
    .addOption(
      new Option("--threshold <share>", "with --secure: more than this share of a round's clients must stay to its end (default: 0.5)").argParser(
        above(0.5, 0.99, true),
      ),
    )
    .addOption(new Option("--seed <n>", "instead of the configuration's").argParser(read(above(0, 2 ** 32 - 1, true))));
}
