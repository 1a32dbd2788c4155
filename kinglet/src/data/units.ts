import { KingletError, mapInto } from "../base/index.ts";
import type { SampleArray } from "./readers/index.ts";
import type { Kept } from "./scratch.ts";

/** Units of acceleration, and what gravity is in each. */
const GRAVITY = { g: 1, mg: 1000, "m/s2": 9.80665 } as const;
export type AccelerationUnit = keyof typeof GRAVITY;
export const ACCELERATION_UNITS = Object.keys(GRAVITY) as readonly AccelerationUnit[];

/** What is known of a recording's acceleration. */
export interface Acceleration {
  readonly channels: readonly number[];
  /** Undefined where it moves too much to tell. */
  readonly unit: AccelerationUnit | undefined;
}

/** Recordings of one file that have one unit. */
export interface UnitCount {
  readonly file: string;
  readonly unit: AccelerationUnit;
  readonly recordings: number;
}

const AXES = 3;
const NAMED = /^(acc\w*|a)?[ _.-]?[xyz]$/i;

/** Three channels that are called like axes of acceleration, or the three that there are. */
function axesOf({ shape, channels, fullScale }: Pick<Kept, "shape" | "channels" | "fullScale">): readonly number[] | undefined {
  if (shape.length !== 2 || fullScale !== 1) return undefined;
  const named = (channels ?? []).flatMap((name, c) => (NAMED.test(name.trim()) ? [c] : []));
  if (named.length === AXES) return named;
  return shape[1] === AXES ? [0, 1, 2] : undefined;
}

/** A gesture moves the median by less than this factor; units lie further apart. */
const TOLERANCE = 2;

/**
 * Tells the unit of acceleration from the median length of its vectors: most of the time a sensor measures little else than gravity.
 * Undefined where a recording has no three axes.
 */
export function accelerationOf(data: SampleArray, about: Pick<Kept, "shape" | "channels" | "fullScale">): Acceleration | undefined {
  const channels = axesOf(about);
  if (channels === undefined) return undefined;
  const [length, width] = about.shape as [number, number];
  const lengths = Float64Array.from({ length }, (_, t) => Math.sqrt(channels.reduce((sum, c) => sum + data[t * width + c]! ** 2, 0))).sort();
  const median = lengths[length >> 1] ?? 0;
  const unit = ACCELERATION_UNITS.find((each) => median >= GRAVITY[each] / TOLERANCE && median <= GRAVITY[each] * TOLERANCE);
  return { channels, unit };
}

/** So many of the recordings must look like acceleration at rest: other sensors have three channels, too. */
const MOST_OF_THEM = 0.9;

/** Units by file; empty where recordings do not look like acceleration. */
export function unitCounts(kept: readonly Kept[], fileOf: (each: Kept) => string): UnitCount[] {
  const known = kept.filter(({ acceleration }) => acceleration?.unit !== undefined);
  if (known.length === 0 || known.length < MOST_OF_THEM * kept.length) return [];
  const counts = new Map<string, UnitCount>();
  for (const each of known) {
    const [file, unit] = [fileOf(each), each.acceleration!.unit!];
    const key = `${unit} ${file}`;
    counts.set(key, { file, unit, recordings: (counts.get(key)?.recordings ?? 0) + 1 });
  }
  return [...counts.values()];
}

/**
 * The number that each recording's acceleration is multiplied by to be in one unit. Who moves too much to tell has the unit of its file.
 * @throws KingletError `bad-input` where that is not known, or a recording has no acceleration.
 */
export function unitFactors(kept: readonly Kept[], wanted: AccelerationUnit, fileOf: (each: Kept) => string): number[] {
  const byFile = new Map<string, Set<AccelerationUnit>>();
  for (const each of kept)
    if (each.acceleration?.unit !== undefined) byFile.set(fileOf(each), (byFile.get(fileOf(each)) ?? new Set()).add(each.acceleration.unit));
  return kept.map((each) => {
    if (each.acceleration === undefined)
      throw new KingletError("bad-input", "a unit of acceleration needs three channels, and this recording has others", {
        place: each.place,
        hint: "Leave out --unit, or choose x, y and z with --columns.",
      });
    const [only, other] = byFile.get(fileOf(each)) ?? [];
    const unit = each.acceleration.unit ?? (other === undefined ? only : undefined);
    if (unit === undefined)
      throw new KingletError("bad-input", `the unit of its acceleration cannot be told: at rest it is none of ${ACCELERATION_UNITS.join(", ")}`, {
        place: each.place,
        hint: "Leave the file out with --only, or convert it by hand.",
      });
    return GRAVITY[wanted] / GRAVITY[unit];
  });
}

/** A recording's values with its acceleration multiplied by a factor. */
export function scaledAcceleration(data: SampleArray, { channels }: Acceleration, width: number, factor: number): Float32Array {
  const axes = new Set(channels);
  return mapInto(new Float32Array(data.length), data, (value, i) => (axes.has(i % width) ? value * factor : value));
}
