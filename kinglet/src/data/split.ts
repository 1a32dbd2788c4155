import { KingletError } from "../base/index.ts";
import type { Dataset } from "./dataset.ts";
import { randomAt, shuffle } from "./seed.ts";

/** Positions in a data set, ascending. */
export interface Split {
  readonly train: Int32Array;
  readonly validation: Int32Array;
  readonly test: Int32Array;
}

export interface Fold {
  /** The group that is left out, or "1", "2", …. */
  readonly name: string;
  readonly train: Int32Array;
  readonly test: Int32Array;
}

export interface SplitOptions {
  /** "class" gives every part the same shares of classes; "group" keeps every speaker or person in one part. Default "class". */
  readonly by?: "class" | "group";
  /** Shares of all samples. Where the data set has a test part of its own, that is the test part. Defaults 0.2 and 0. */
  readonly test?: number;
  readonly validation?: number;
  /** Default 1. */
  readonly seed?: number;
}

/** What must not be torn apart: the windows of a recording, or all samples of a group. */
interface Unit {
  readonly positions: number[];
  readonly label: number;
}

function unitsBy(dataset: Dataset, positions: Iterable<number>, keys: Int32Array): Map<number, Unit> {
  const units = new Map<number, Unit>();
  for (const position of positions) {
    const key = keys[position]!;
    const unit = units.get(key);
    if (unit !== undefined) unit.positions.push(position);
    else units.set(key, { positions: [position], label: dataset.index.labels[position]! });
  }
  return units;
}

function shuffled(units: readonly Unit[], ...place: readonly number[]): Unit[] {
  const order = shuffle(
    Int32Array.from(units, (_, i) => i),
    randomAt(...place),
  );
  return Array.from(order, (i) => units[i]!);
}

const countOf = (units: readonly Unit[]): number => units.reduce((sum, unit) => sum + unit.positions.length, 0);
const ascending = (positions: number[]): Int32Array => Int32Array.from(positions).sort();

/** Deals units to parts until each has its share, as near as whole units allow; the last part takes the rest. */
function deal(units: readonly Unit[], shares: readonly number[]): number[][] {
  const all = countOf(units);
  const parts: number[][] = [...shares.map(() => []), []];
  const rest = [...units];
  shares.forEach((share, part) => {
    let missing = share * all;
    while (missing > 0 && rest.length > 0) {
      const next = rest[0]!.positions.length;
      // One more unit only where that comes nearer to the share; but a share that is not zero gets one.
      if (next - missing > missing && parts[part]!.length > 0) break;
      parts[part]!.push(...rest.shift()!.positions);
      missing -= next;
    }
  });
  parts[shares.length] = rest.flatMap((unit) => unit.positions);
  return parts;
}

/**
 * Cuts each recording in time where a class has too few to deal out: training takes the beginning, then validation, then
 * test. Windows that reach across a border are left out, so that no instant lies on both sides.
 */
function cutInTime(dataset: Dataset, units: readonly Unit[], shares: readonly number[]): number[][] {
  const { starts } = dataset.index;
  const length = dataset.info.shape.length === 2 ? dataset.info.shape[0]! : 1;
  const parts: number[][] = [...shares.map(() => []), []];
  for (const { positions } of units) {
    const [test, validation] = shares as [number, number];
    const last = starts[positions.at(-1)!]! + length;
    const borders = [Math.round(last * (1 - test - validation)), Math.round(last * (1 - test)), Number.POSITIVE_INFINITY];
    const order = [2, 1, 0];
    for (const position of positions) {
      const k = borders.findIndex((border) => starts[position]! < border);
      if (starts[position]! + length <= borders[k]!) parts[order[k]!]!.push(position);
    }
  }
  return parts;
}

/** Fewer recordings of a class than this are cut in time. */
const FEW_RECORDINGS = 3;

function byClass(dataset: Dataset, positions: readonly number[], shares: readonly number[], seed: number): number[][] {
  const units = [...unitsBy(dataset, positions, dataset.index.recordings).values()];
  const parts: number[][] = [...shares.map(() => []), []];
  dataset.info.classes.forEach((_, label) => {
    const own = units.filter((unit) => unit.label === label);
    const windowed = own.some((unit) => unit.positions.length > 1);
    const dealt = windowed && own.length < FEW_RECORDINGS ? cutInTime(dataset, own, shares) : deal(shuffled(own, seed, label), shares);
    for (const [i, part] of dealt.entries()) for (const position of part) parts[i]!.push(position);
  });
  return parts;
}

function groupUnits(dataset: Dataset, positions: readonly number[]): Map<number, Unit> {
  const { groups } = dataset.index;
  if (positions.some((position) => groups[position]! < 0))
    throw new KingletError("misuse", "the data set has samples without a group", {
      hint: "Import it with --group, so that each sample's speaker or person is known.",
    });
  return unitsBy(dataset, positions, groups);
}

function byGroup(dataset: Dataset, positions: readonly number[], shares: readonly number[], seed: number): number[][] {
  const units = [...groupUnits(dataset, positions).values()];
  const parts = shares.filter((share) => share > 0).length + 1;
  if (units.length < parts) throw new KingletError("misuse", `${units.length} groups are not enough for ${parts} parts`);
  return deal(shuffled(units, seed), shares);
}

const all = (dataset: Dataset): number[] => Array.from({ length: dataset.length }, (_, i) => i);

/**
 * Divides a data set, always alike for one seed. Windows of one recording stay in one part; where a class has fewer than three long
 * recordings, they are cut in time instead. The data set's own test part, if it has one, stays the test part.
 * @throws KingletError `misuse` for shares that leave nothing to train on, or too few groups.
 */
export function splitDataset(dataset: Dataset, options: SplitOptions = {}): Split {
  const { by = "class", test = 0.2, validation = 0, seed = 1 } = options;
  if (!(test >= 0 && validation >= 0 && test + validation < 1))
    throw new KingletError("misuse", `shares of ${test} and ${validation} leave nothing to train on`);
  const { parts } = dataset.index;
  const fixed = all(dataset).filter((position) => parts[position] === 1);
  const free = all(dataset).filter((position) => parts[position] !== 1);
  if (free.length === 0) throw new KingletError("misuse", "all samples belong to the test part");
  const shares = [fixed.length > 0 ? 0 : test, validation];
  const dealt = by === "group" ? byGroup(dataset, free, shares, seed) : byClass(dataset, free, shares, seed);
  const result = { test: ascending(fixed.length > 0 ? fixed : dealt[0]!), validation: ascending(dealt[1]!), train: ascending(dealt[2]!) };
  if (result.train.length === 0) throw new KingletError("misuse", "no sample is left to train on");
  return result;
}

function foldsOf(dataset: Dataset, tests: readonly (readonly number[])[], names: readonly string[]): Fold[] {
  return tests.map((test, i) => {
    const held = new Set(test);
    return { name: names[i]!, test: ascending([...test]), train: ascending(all(dataset).filter((position) => !held.has(position))) };
  });
}

/**
 * Divides a data set `k` times so that every sample is tested once. By class, classes are spread evenly and recordings stay whole; by
 * group, groups stay whole.
 * @throws KingletError `misuse` where there are fewer than `k` recordings or groups.
 */
export function kFolds(dataset: Dataset, k: number, options: Pick<SplitOptions, "by" | "seed"> = {}): Fold[] {
  const { by = "class", seed = 1 } = options;
  const units = [...(by === "group" ? groupUnits(dataset, all(dataset)) : unitsBy(dataset, all(dataset), dataset.index.recordings)).values()];
  if (!(Number.isInteger(k) && k >= 2 && k <= units.length))
    throw new KingletError("misuse", `${k} folds cannot be made of ${units.length} ${by === "group" ? "groups" : "recordings"}`);
  const tests: number[][] = Array.from({ length: k }, () => []);
  // Classes one after the other, so that each is spread over all folds; the smallest fold is served next.
  const classes = by === "group" ? [units] : dataset.info.classes.map((_, label) => units.filter((unit) => unit.label === label));
  classes.forEach((own, label) => {
    const mine = new Int32Array(k);
    for (const unit of shuffled(own, seed, label)) {
      let at = 0;
      for (let i = 1; i < k; i++) if (mine[i]! < mine[at]! || (mine[i] === mine[at] && tests[i]!.length < tests[at]!.length)) at = i;
      tests[at]!.push(...unit.positions);
      mine[at] = mine[at]! + unit.positions.length;
    }
  });
  return foldsOf(
    dataset,
    tests,
    tests.map((_, i) => String(i + 1)),
  );
}

/** One fold for each group, which is then the test part. @throws KingletError `misuse` without two groups. */
export function leaveOneGroupOut(dataset: Dataset): Fold[] {
  const units = [...groupUnits(dataset, all(dataset))].sort(([a], [b]) => a - b);
  if (units.length < 2) throw new KingletError("misuse", "leaving one group out needs two groups");
  return foldsOf(
    dataset,
    units.map(([, unit]) => unit.positions),
    units.map(([group]) => dataset.info.groups[group]!),
  );
}
