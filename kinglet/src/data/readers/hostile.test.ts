import { gzipSync, zipSync } from "fflate";
import jpeg from "jpeg-js";
import { describe, expect, test } from "vitest";
import { KingletError, Xorshift32 } from "../../base/index.ts";
import { readRecordings } from "./index.ts";
import { readZip } from "./zip.ts";
import { idxFile, npyFile, pngFile, sound, utf8 } from "./testing.ts";

const MUTATIONS = 300;
const SLOWEST_MS = 2000;
const HUGE = [0xffffffff, 0x7fffffff, 0x80000000, 0xffff, 0x10000, 0];

/** One of the ways a file gets damaged, or is made to hurt. */
function mutate(original: Uint8Array, random: Xorshift32): Uint8Array {
  const bytes = new Uint8Array(original);
  const at = random.int(0, bytes.length - 1);
  const view = new DataView(bytes.buffer);
  const word = Math.max(0, Math.min(at, bytes.length - 4));
  switch (random.int(0, 5)) {
    case 0:
      return bytes.subarray(0, at);
    case 1:
      bytes[at] = bytes[at]! ^ (1 << random.int(0, 7));
      return bytes;
    case 2:
      view.setUint32(word, HUGE[random.int(0, HUGE.length - 1)]!, random.int(0, 1) === 1);
      return bytes;
    case 3:
      return new Uint8Array([...bytes.subarray(0, at), ...bytes.subarray(Math.min(bytes.length, at + random.int(1, 9)))]);
    case 4:
      return new Uint8Array([
        ...bytes.subarray(0, at),
        ...Array.from({ length: random.int(1, 40) }, () => random.int(0, 255)),
        ...bytes.subarray(at),
      ]);
    default:
      for (let i = 0; i < 8; i++) bytes[random.int(0, bytes.length - 1)] = random.int(0, 255);
      return bytes;
  }
}

const random = new Xorshift32(5);
const picture = Uint8Array.from({ length: 24 * 24 * 4 }, () => random.int(0, 255));
const payload = { sensors: [{ name: "x", units: "g" }], interval_ms: 10, values: Array.from({ length: 50 }, (_, i) => [i / 8]) };
const labels = idxFile([4], [0, 1, 1, 0]);
const npz = zipSync({ "X.npy": npyFile("int16", [6, 3], new Int16Array(18)), "y.npy": npyFile("uint8", [6], Uint8Array.of(0, 0, 1, 1, 2, 2)) });

const FILES: Readonly<Record<string, Uint8Array>> = {
  "a.wav": sound(Array.from({ length: 200 }, (_, i) => i * 50)),
  "a.csv": utf8(`recording,label,x,y\n${Array.from({ length: 40 }, (_, i) => `${i >> 3},c${i >> 4},${i / 4},-${i}e-1`).join("\n")}\n`),
  "a.csv.gz": gzipSync(utf8(`x,y\n${"1,2\n".repeat(50)}`)),
  "a.png": pngFile({ width: 6, height: 6, interlace: 0, rows: Array.from({ length: 42 }, (_, i) => (i % 7 === 0 ? (i / 7) % 5 : i)) }),
  "a.jpg": new Uint8Array(jpeg.encode({ width: 24, height: 24, data: picture }, 60).data),
  "images-idx3-ubyte": idxFile(
    [4, 3, 3],
    Array.from({ length: 36 }, (_, i) => i),
  ),
  "a.npy": npyFile("float32", [10, 3], new Float32Array(30)),
  "a.npz": npz,
  "a.bin": new Uint8Array(3073 * 2),
  "a.json": utf8(JSON.stringify({ payload })),
};

async function drain(name: string, bytes: Uint8Array): Promise<void> {
  let count = 0;
  for (const { data, shape } of await readRecordings(
    { bytes, place: name, sibling: async (base) => (base === "labels-idx1-ubyte" ? labels : null) },
    { steps: true },
  )) {
    expect(data.length).toBe(shape.reduce((a, b) => a * b, 1));
    if (++count > 10_000) throw new Error("more recordings than the file can hold");
  }
}

describe("damaged files end in one typed error or a valid result, soon", () => {
  test.each(Object.keys(FILES))("%s", async (name) => {
    await drain(name, FILES[name]!);
    const mutations = new Xorshift32(99);
    let refused = 0;
    for (let i = 0; i < MUTATIONS; i++) {
      const bytes = mutate(FILES[name]!, mutations);
      const start = performance.now();
      try {
        await drain(name, bytes);
      } catch (error) {
        refused++;
        if (!(error instanceof KingletError)) throw new Error(`mutation ${i} of ${name}: ${(error as Error).stack}`);
        expect(error.describe()).toContain(name.split(".")[0]);
      }
      expect(performance.now() - start, `mutation ${i}`).toBeLessThan(SLOWEST_MS);
    }
    expect(refused).toBeGreaterThan(0);
  });

  test("zips", () => {
    const zip = zipSync({ "a/b.txt": utf8("hello ".repeat(100)), "c.bin": new Uint8Array(1000) });
    const mutations = new Xorshift32(7);
    for (let i = 0; i < 5 * MUTATIONS; i++) {
      try {
        for (const member of readZip(mutate(zip, mutations), "z.zip")) member.read();
      } catch (error) {
        if (!(error instanceof KingletError)) throw error;
      }
    }
  });
});
