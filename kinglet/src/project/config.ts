import { boardById } from "../boards/index.ts";
import { KingletError } from "../base/index.ts";
import { LEAST_ALPHA, MOST_ALPHA, type Optimizer, type RateSchedule } from "../train/index.ts";
import { NETWORKS, type NetworkName } from "../zoo/index.ts";
import { AUGMENTATIONS, type Augmentation } from "../data/index.ts";
import type { TrainingChoices } from "./choices.ts";
import { WEIGHT_NAMES } from "./weights.ts";

export const CONFIG_FILE = "kinglet.config.ts";

/** How samples become what the network sees: nodes of the graph, so that the firmware does the same. */
export type Features =
  | { readonly kind: "none" }
  /** Sound of one channel to cepstral coefficients; lengths in milliseconds. */
  | {
      readonly kind: "mfcc";
      readonly frameMs?: number;
      readonly stepMs?: number;
      readonly bands?: number;
      readonly coefficients?: number;
      readonly lowHz?: number;
      readonly highHz?: number;
    }
  /** Statistics of every channel over time. */
  | { readonly kind: "motion" };

/** What a network starts from instead of random weights. */
export interface WeightsConfig {
  /** .safetensors, .h5, .keras or .mlpackage, from the project's folder. */
  readonly file: string;
  /** Whose names the file has; by default kind, shape and order tell. */
  readonly like?: string;
  /** Layers that start from random weights all the same, as the last one where classes differ: "logits". */
  readonly without?: readonly string[];
}

/** What `kinglet.config.ts` exports: everything that decides what training gives, beside the data. */
export interface ProjectConfig extends TrainingChoices {
  readonly network: { readonly name: NetworkName; readonly options: Readonly<Record<string, unknown>> };
  readonly weights: WeightsConfig | null;
  readonly features: Features;
  readonly epochs: number;
  readonly batch: number;
  readonly optimizer: Optimizer;
  readonly schedule: RateSchedule;
  readonly augmentation: Augmentation;
  /** Shares of the samples, whether a group (speaker, person) may be torn apart, and what shuffles them: the configuration's seed as a rule. */
  readonly split: { readonly by: "class" | "group"; readonly test: number; readonly validation: number; readonly seed: number };
  readonly seed: number;
  readonly board: string | null;
}

type Plain = Readonly<Record<string, unknown>>;
const isObject = (value: unknown): value is Plain => typeof value === "object" && value !== null && !Array.isArray(value);

/** A value as an error may show it. */
function shown(value: unknown): string {
  const text = typeof value === "function" ? "a function" : (JSON.stringify(value) ?? String(value));
  return text.length > 60 ? `${text.slice(0, 59)}…` : text;
}

/** What is wrong with a field: where it is, and what is expected there. */
type Complaint = string;

/** Collects one complaint for each wrong field. */
class Checker {
  readonly complaints: Complaint[] = [];

  expect(sound: boolean, path: string, value: unknown, expected: string): boolean {
    if (!sound) this.complaints.push(value === undefined ? `${path} is missing: ${expected}` : `${path} is ${shown(value)}: ${expected}`);
    return sound;
  }

  number(path: string, value: unknown, low: number, high: number, whole = false): void {
    const sound = typeof value === "number" && value >= low && value <= high && (!whole || Number.isInteger(value));
    const range = high === Number.MAX_SAFE_INTEGER ? `of at least ${low}` : `from ${low} to ${high}`;
    this.expect(sound, path, value, `expected is a ${whole ? "whole " : ""}number ${range}`);
  }

  choice(path: string, value: unknown, choices: readonly string[]): boolean {
    return this.expect(typeof value === "string" && choices.includes(value), path, value, `expected is one of ${choices.join(", ")}`);
  }

  object(path: string, value: unknown): value is Plain {
    return this.expect(isObject(value), path, value, "expected is an object { … }");
  }

  keys(path: string, value: Plain, known: readonly string[]): void {
    for (const key of Object.keys(value))
      if (!known.includes(key)) this.complaints.push(`${path === "" ? "" : `${path}.`}${key} is not known: possible are ${known.join(", ")}`);
  }
}

const MOST = Number.MAX_SAFE_INTEGER;
const MOST_SEED = 2 ** 32 - 1;
type Field = (check: Checker, path: string, value: unknown) => void;
type Fields = Readonly<Record<string, Field>>;

const positive = (check: Checker, path: string, value: unknown): void => check.number(path, value, 0, 1e6);
const share = (check: Checker, path: string, value: unknown): void => check.number(path, value, 0, 1);
const count = (check: Checker, path: string, value: unknown): void => check.number(path, value, 1, MOST, true);
const hertz = (check: Checker, path: string, value: unknown): void => check.number(path, value, 0, 1e6);
const flag = (check: Checker, path: string, value: unknown): void =>
  void check.expect(typeof value === "boolean", path, value, "expected is true or false");
const shares = (check: Checker, path: string, value: unknown): void =>
  void check.expect(Array.isArray(value) && value.every((x) => typeof x === "number" && x > 0 && x < 1), path, value, "expected is a list of shares");
const rate = (check: Checker, path: string, value: unknown): void =>
  void check.expect(typeof value === "number" && value > 0 && value <= 1e3, path, value, "expected is a number above 0");

/** A share that must leave something. */
const part = (check: Checker, path: string, value: unknown): void =>
  void check.expect(typeof value === "number" && value >= 0 && value < 1, path, value, "expected is a share from 0 to below 1");
const names = (check: Checker, path: string, value: unknown): void =>
  void check.expect(
    Array.isArray(value) && value.length > 0 && value.every((x) => typeof x === "string" && x !== ""),
    path,
    value,
    'expected is a list of layers\' names, as ["conv*"]',
  );
const name = (check: Checker, path: string, value: unknown): void =>
  void check.expect(typeof value === "string" && value !== "", path, value, "expected is a layer's name");

function classWeights(check: Checker, path: string, value: unknown): void {
  const sound = value === "balanced" || (isObject(value) && Object.values(value).every((x) => typeof x === "number" && x >= 0 && x <= 1e3));
  check.expect(sound, path, value, 'expected is "balanced" or numbers by class, as { yes: 2 }');
}

/** An object whose fields may be given. */
const fieldsOf =
  (fields: Fields, required: readonly string[] = []) =>
  (check: Checker, path: string, value: unknown): void => {
    if (!check.object(path, value)) return;
    check.keys(path, value, Object.keys(fields));
    for (const [key, field] of Object.entries(fields))
      if (value[key] !== undefined || required.includes(key)) field(check, `${path}.${key}`, value[key]);
  };

const CHOICES: Readonly<Record<keyof TrainingChoices, Field>> = {
  labelSmoothing: part,
  mixup: (check, path, value) => check.number(path, value, LEAST_ALPHA, MOST_ALPHA),
  averageDecay: part,
  dropout: part,
  clipNorm: rate,
  classWeights,
  freeze: names,
  distill: fieldsOf({
    temperature: rate,
    alpha: share,
    hint: fieldsOf({ student: name, teacher: name, weight: rate }, ["student", "teacher"]),
  }),
};

/** Fields of each kind that may be given; a kind's required ones are in REQUIRED. */
const OPTIMIZERS: Readonly<Record<Optimizer["kind"], Fields>> = {
  sgd: { momentum: share, nesterov: flag, weightDecay: positive },
  adam: { beta1: share, beta2: share, epsilon: positive, weightDecay: positive, decoupled: flag },
  rmsprop: { decay: share, epsilon: positive, weightDecay: positive },
};
const SCHEDULES: Readonly<Record<RateSchedule["kind"], Fields>> = {
  constant: { rate, warmup: positive },
  step: { rate, at: shares, factor: positive, warmup: positive },
  cosine: { rate, final: positive, warmup: positive },
  oneCycle: { rate, rise: share },
};
const FEATURES: Readonly<Record<Features["kind"], Fields>> = {
  none: {},
  mfcc: { frameMs: rate, stepMs: rate, bands: count, coefficients: count, lowHz: hertz, highHz: hertz },
  motion: {},
};
const REQUIRED = ["rate", "at"];

function checkKind(check: Checker, path: string, value: unknown, kinds: Readonly<Record<string, Fields>>): void {
  if (!check.object(path, value) || !check.choice(`${path}.kind`, value["kind"], Object.keys(kinds))) return;
  const fields = kinds[value["kind"] as string]!;
  check.keys(path, value, ["kind", ...Object.keys(fields)]);
  for (const [name, field] of Object.entries(fields))
    if (value[name] !== undefined || REQUIRED.includes(name)) field(check, `${path}.${name}`, value[name]);
}

/** Options that follow from data and features, so nobody may give them. */
const FOLLOWS = ["classes", "batch", "seed", "precision", "inputs", "inputChannels", "length", "size", "resolution", "probabilities"];
/** It gives back its input; a project is a classifier. */
const NO_CLASSIFIERS = ["autoencoder"];

export const NETWORK_NAMES: readonly string[] = Object.keys(NETWORKS).filter((name) => !NO_CLASSIFIERS.includes(name));

function checkNetwork(check: Checker, value: unknown): void {
  if (!check.object("network", value)) return;
  check.keys("network", value, ["name", "options"]);
  check.choice("network.name", value["name"], NETWORK_NAMES);
  if (value["options"] === undefined || !check.object("network.options", value["options"])) return;
  for (const key of Object.keys(value["options"]))
    if (FOLLOWS.includes(key)) check.complaints.push(`network.options.${key} follows from data, batch and seed: leave it out`);
}

/** A file alone, or with what has to be said about it. */
function checkWeights(check: Checker, value: unknown, network: unknown): void {
  if (value === undefined || value === null) return;
  if (typeof value === "string") return void check.expect(value !== "", "weights", value, "expected is a file's name");
  if (!check.object("weights", value)) return;
  check.keys("weights", value, ["file", "like", "without"]);
  const { file, like, without } = value;
  check.expect(typeof file === "string" && file !== "", "weights.file", file, "expected is a file's name");
  const isList = Array.isArray(without) && without.every((each) => typeof each === "string");
  if (without !== undefined) check.expect(isList, "weights.without", without, "expected is a list of layers' names");
  if (like === undefined || !check.choice("weights.like", like, Object.keys(WEIGHT_NAMES))) return;
  const known = WEIGHT_NAMES[like as string]!;
  const name = isObject(network) ? network["name"] : undefined;
  if (typeof name === "string" && !Object.hasOwn(known, name))
    check.complaints.push(`weights.like is ${shown(like)}, which has no "${name}": it has ${Object.keys(known).join(", ")}`);
}

function checkAugmentation(check: Checker, value: unknown): void {
  if (value === undefined || !check.object("augmentation", value)) return;
  check.keys("augmentation", value, Object.keys(AUGMENTATIONS));
  for (const [name, amount] of Object.entries(value)) if (Object.hasOwn(AUGMENTATIONS, name)) check.number(`augmentation.${name}`, amount, 0, 1e6);
}

function checkSplit(check: Checker, value: unknown): void {
  if (value === undefined || !check.object("split", value)) return;
  check.keys("split", value, ["by", "test", "validation", "seed"]);
  if (value["by"] !== undefined) check.choice("split.by", value["by"], ["class", "group"]);
  for (const part of ["test", "validation"]) if (value[part] !== undefined) check.number(`split.${part}`, value[part], 0, 0.9);
  if (value["seed"] !== undefined) check.number("split.seed", value["seed"], 0, MOST_SEED, true);
}

function checkBoard(check: Checker, value: unknown): void {
  if (value === undefined || value === null) return;
  if (!check.expect(typeof value === "string", "board", value, "expected is a board's name or null")) return;
  try {
    boardById(value as string);
  } catch (error) {
    if (!(error instanceof KingletError)) throw error;
    check.complaints.push(`board: ${error.message}${error.hint === undefined ? "" : `; ${error.hint}`}`);
  }
}

const KNOWN = [
  "network",
  "weights",
  "features",
  "epochs",
  "batch",
  "optimizer",
  "schedule",
  "augmentation",
  "split",
  "seed",
  "board",
  ...Object.keys(CHOICES),
];

/**
 * Checks what a configuration file exports and fills in what it leaves out.
 * @throws KingletError `bad-input` with one line for each field that is wrong.
 */
export function checkConfig(value: unknown, place: string): ProjectConfig {
  const check = new Checker();
  if (!isObject(value))
    throw new KingletError("bad-input", "the file has no configuration as its default export", { place, hint: "Write: export default { network: …" });
  check.keys("", value, KNOWN);
  checkNetwork(check, value["network"]);
  checkWeights(check, value["weights"], value["network"]);
  if (value["features"] !== undefined) checkKind(check, "features", value["features"], FEATURES);
  check.number("epochs", value["epochs"], 1, 100_000, true);
  check.number("batch", value["batch"] ?? 32, 1, 65_536, true);
  checkKind(check, "optimizer", value["optimizer"], OPTIMIZERS);
  checkKind(check, "schedule", value["schedule"], SCHEDULES);
  checkAugmentation(check, value["augmentation"]);
  checkSplit(check, value["split"]);
  check.number("seed", value["seed"] ?? 1, 0, MOST_SEED, true);
  checkBoard(check, value["board"]);
  for (const [key, field] of Object.entries(CHOICES)) if (value[key] !== undefined) field(check, key, value[key]);
  if (check.complaints.length > 0)
    throw new KingletError("bad-input", `the configuration is not right\n${check.complaints.map((each) => `  ${each}`).join("\n")}`, { place });
  return {
    ...({ features: { kind: "none" }, batch: 32, augmentation: {}, seed: 1, board: null } as const),
    ...value,
    network: { options: {}, ...(value["network"] as Plain) },
    weights: typeof value["weights"] === "string" ? { file: value["weights"] } : (value["weights"] ?? null),
    split: { by: "class", test: 0.2, validation: 0.1, seed: value["seed"] ?? 1, ...(value["split"] as Plain | undefined) },
  } as unknown as ProjectConfig;
}
