import { describe, expect, test } from "vitest";
import type { Kept } from "./scratch.ts";
import { accelerationOf, scaledAcceleration, unitCounts, unitFactors } from "./units.ts";

/** Gravity along z with a shake along x now and then. */
function moving(gravity: number, width = 3): Float32Array {
  return Float32Array.from({ length: 50 * width }, (_, i) => {
    const [t, c] = [Math.floor(i / width), i % width];
    if (c === 0) return t % 5 === 0 ? 2 * gravity : 0.1 * gravity;
    return c === 2 ? gravity : c > 2 ? 77 : 0;
  });
}

function recording(gravity: number, source = 0): Kept {
  const about = { shape: [50, 3], channels: undefined, fullScale: 1 };
  return { ...about, source, place: `file ${source}`, acceleration: accelerationOf(moving(gravity), about) } as unknown as Kept;
}
const fileOf = ({ source }: Kept): string => `${source}.csv`;

describe("the unit of acceleration", () => {
  test("is told by what is measured most of the time", () => {
    const units = [1, 1000, 9.81, 0.2, 100].map((gravity) => recording(gravity).acceleration!.unit);
    expect(units).toEqual(["g", "mg", "m/s2", undefined, undefined]);
  });

  test("is that of three channels which are named so, beside others", () => {
    const about = { shape: [50, 6], channels: ["accX", "accY", "accZ", "gyroX", "gyroY", "gyroZ"], fullScale: 1 };
    const data = moving(1000, 6);
    const acceleration = accelerationOf(data, about)!;
    expect(acceleration).toEqual({ channels: [0, 1, 2], unit: "mg" });
    expect(Array.from(scaledAcceleration(data, acceleration, 6, 1 / 1000).subarray(6, 12))).toEqual([Math.fround(0.1), 0, 1, 77, 77, 77]);
    expect(accelerationOf(data, { ...about, channels: undefined })).toBeUndefined();
  });

  test("is looked for in signals of plain numbers only", () => {
    expect(accelerationOf(moving(1), { shape: [50, 3], channels: undefined, fullScale: 32768 })).toBeUndefined();
    expect(accelerationOf(moving(1), { shape: [50, 1, 3], channels: undefined, fullScale: 1 })).toBeUndefined();
  });

  test("is counted by file, and not where most recordings look like something else", () => {
    const kept = [recording(1), recording(1), recording(1000), recording(9.81, 1)];
    expect(unitCounts(kept, fileOf)).toEqual([
      { file: "0.csv", unit: "g", recordings: 2 },
      { file: "0.csv", unit: "mg", recordings: 1 },
      { file: "1.csv", unit: "m/s2", recordings: 1 },
    ]);
    expect(unitCounts([...kept, recording(50)], fileOf)).toEqual([]);
  });

  test("becomes one; who moves too much to tell has that of its file", () => {
    expect(unitFactors([recording(1), recording(1000, 1), recording(120, 1)], "g", fileOf)).toEqual([1, 0.001, 0.001]);
    expect(() => unitFactors([recording(1), recording(120, 1)], "g", fileOf)).toThrow(/unit of its acceleration cannot be told/);
    expect(() => unitFactors([{ ...recording(1), acceleration: undefined }], "g", fileOf)).toThrow(/needs three channels/);
  });
});
