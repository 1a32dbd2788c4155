import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { zipSync } from "fflate";
import { expect, test } from "vitest";
import { npyFile, sound } from "../src/data/readers/testing.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

type Files = Readonly<Record<string, Uint8Array | string>>;

/** Every combination of two lists, several times. */
function each<A, B>(first: readonly A[], second: readonly B[], times: number): (readonly [A, B, number])[] {
  return first.flatMap((a) => second.flatMap((b) => Array.from({ length: times }, (_, i) => [a, b, i] as const)));
}

/** A tone for each class, in the pitch of its speaker. */
const tone = (pitch: number, rateHz: number): Uint8Array =>
  sound(
    Array.from({ length: rateHz / 4 }, (_, t) => Math.round(9000 * Math.sin((2 * Math.PI * pitch * t) / rateHz))),
    rateHz,
  );

const wave = (kind: number, t: number): number => Math.sin(t / (2 + 4 * kind));

/** Made data in the form of what each example was written for, with just enough for a batch. */
const MADE: Readonly<Record<string, () => Files>> = {
  "spoken-digits": () =>
    Object.fromEntries(
      each([0, 1], [0, 1], 16).map(([digit, who, i]) => [`${digit}_person${who}_${i}.wav`, tone(300 + 900 * digit + 50 * who, 8000)]),
    ),
  keywords: () =>
    Object.fromEntries(
      each(["bed", "cat"], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11], 2).map(([word, who, i]) => [
        `${word}/${who}_nohash_${i}.wav`,
        tone(word === "bed" ? 300 : 1500, 16_000),
      ]),
    ),
  "magic-wand": () => {
    const rows = each(["ring", "negative"], ["ann"], 15).flatMap(([label, person, i]) => {
      const [kind, unit] = label === "ring" ? [0, 1] : [1, 1000];
      return Array.from({ length: 80 }, (_, t) => `${label}${i},${label},${person},${unit * wave(kind, t)},${unit * wave(kind, t + 9)},${unit}`);
    });
    return { "tflm-magic-wand.csv": ["recording,label,person,x,y,z", ...rows].join("\n") };
  },
  "watch-activities": () => {
    const rows = 2000;
    const arrays = [1600, 1601, 1602, 1603].flatMap((who) => {
      const activities = Uint8Array.from({ length: 2 * rows }, (_, t) => Math.floor(t / rows));
      const readings = Int16Array.from({ length: 6 * rows }, (_, i) => 1000 * wave(activities[Math.floor(i / 3)]!, Math.floor(i / 3) + i));
      return [
        [`${who}_accel_xyz.npy`, npyFile("int16", [2 * rows, 3], readings)],
        [`${who}_accel_act.npy`, npyFile("uint8", [2 * rows], activities)],
      ] as const;
    });
    return { "wisdm51-watch.npz": zipSync(Object.fromEntries(arrays)) };
  },
};

function writeFiles(folder: string, files: Files): void {
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), content);
  }
}

/** Each is a program of its own that compiles several training steps. */
const PATIENCE_MS = 300_000;

test.each(Object.keys(MADE))(
  "examples/%s.ts trains, quantizes and judges made data",
  async (name) => {
    const folder = mkdtempSync(join(tmpdir(), "kinglet-examples-"));
    try {
      writeFiles(folder, MADE[name]!());
      const args = ["--import", "tsx", `examples/${name}.ts`, folder, "--seed", "1", "--epochs", "1"];
      const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: ROOT });
      const row = /^seed 1 +(\d+\.\d\d) +(\d+\.\d\d) +\d+$/m.exec(stdout);
      expect(row, stdout).not.toBeNull();
      for (const accuracy of row!.slice(1, 3).map(Number)) expect(accuracy).toBeLessThanOrEqual(100);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
  PATIENCE_MS,
);
