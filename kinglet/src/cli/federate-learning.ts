import { type Command, InvalidArgumentError, Option } from "commander";
import { KingletError } from "../base/index.ts";
import { checkPrivacy, type Compression, type Privacy, STRATEGIES, type Strategy } from "../federated/index.ts";
import { positive } from "./arguments.ts";

/** How a federation learns, simulated or real. */
export interface LearningOptions {
  readonly rounds: number;
  readonly share: number;
  readonly strategy: keyof typeof STRATEGIES;
  readonly epochs: number;
  readonly batch: number;
  readonly rate: number;
  readonly seed?: number;
  readonly compress: string;
  readonly clip?: number;
  readonly noise?: number;
  readonly budget?: number;
  readonly delta: number;
  readonly devices?: true;
}

/** An option's number from `least`, or above it, to `most`. */
export function above(least: number, most: number, inclusive: boolean): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!(value > least || (inclusive && value === least)) || !(value <= most))
      throw new InvalidArgumentError(`Give a number ${inclusive ? "from" : "above"} ${least}${most === Number.MAX_VALUE ? "" : ` to ${most}`}.`);
    return value;
  };
}

/** "none", "8bit", "4bit" or "top:0.01". */
export function compressionOf(text: string): Compression {
  if (text === "none") return { kind: "none" };
  if (text === "8bit" || text === "4bit") return { kind: "quantize", bits: text === "8bit" ? 8 : 4 };
  const share = text.startsWith("top:") ? Number(text.slice(4)) : Number.NaN;
  if (share > 0 && share <= 1) return { kind: "topK", share };
  throw new KingletError("misuse", `--compress is ${text}; possible are none, 8bit, 4bit and top:SHARE`);
}

/** The strategy by its name. @throws KingletError `misuse` for one that asks more of clients than microcontrollers do. */
export function strategyOf({ strategy: name, devices }: LearningOptions): Strategy {
  const strategy: Strategy = STRATEGIES[name];
  if (devices === true && (strategy.proximal !== undefined || strategy.control === true))
    throw new KingletError("misuse", `microcontrollers learn by plain gradient descent, and ${name} adds to it`, {
      hint: "Leave out --devices, or take another strategy.",
    });
  return strategy;
}

/** What the words ask of privacy. @throws KingletError `misuse` for half of it, or beside a strategy that it is not counted for. */
export function privacyOf(options: LearningOptions): Privacy | undefined {
  const { clip, noise, budget, delta } = options;
  if ((clip === undefined) !== (noise === undefined)) throw new KingletError("misuse", "privacy needs both --clip and --noise");
  if (budget !== undefined && noise === undefined) throw new KingletError("misuse", "a budget needs --clip and --noise");
  const privacy = clip === undefined || noise === undefined ? undefined : { clip, noise, delta, ...(budget === undefined ? {} : { budget }) };
  checkPrivacy(strategyOf(options), privacy);
  return privacy;
}

export function learningFlags(command: Command): Command {
  return command
    .option("--rounds <n>", "how many there are", positive, 50)
    .addOption(new Option("--share <share>", "of the clients in a round").argParser(above(0, 1, false)).default(0.1))
    .addOption(new Option("--strategy <name>", "how updates become one").choices(Object.keys(STRATEGIES)).default("fedavg"))
    .option("--epochs <n>", "passes over a client's samples in a round", positive, 1)
    .option("--batch <n>", "samples of a step", positive, 10)
    .addOption(new Option("--rate <rate>", "of the clients' gradient descent").argParser(above(0, 1e3, false)).default(0.1))
    .option("--devices", "microcontrollers take part: batch normalization is folded into the layers before, and no sample is augmented")
    .option("--compress <how>", "how updates travel: none, 8bit, 4bit or top:SHARE", "none")
    .addOption(new Option("--clip <length>", "privacy: updates are shortened to this").argParser(above(0, Number.MAX_VALUE, false)))
    .addOption(new Option("--noise <factor>", "privacy: noise on their sum, in such lengths").argParser(above(0, 1e6, true)))
    .addOption(new Option("--budget <epsilon>", "privacy: ends before ε is larger").argParser(above(0, Number.MAX_VALUE, false)))
    .addOption(new Option("--delta <delta>", "privacy: the δ that ε is for").argParser(above(0, 0.5, false)).default(1e-5))
    .addOption(new Option("--seed <n>", "instead of the configuration's").argParser(above(0, 2 ** 32 - 1, true)));
}
