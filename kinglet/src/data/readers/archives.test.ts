import { gzipSync, zipSync } from "fflate";
import { describe, expect, test } from "vitest";
import { Xorshift32 } from "../../base/index.ts";
import { gunzip, inflateExactly } from "./inflate.ts";
import { readNpyRecordings, readNpz } from "./npy-arrays.ts";
import { npyFile, utf8 } from "./testing.ts";
import { readZip } from "./zip.ts";

const random = new Xorshift32(11);
const noise = Uint8Array.from({ length: 5_000 }, (_, i) => (i % 3 === 0 ? random.int(0, 255) : 7));

describe("gzip and zip", () => {
  test("give back what was packed", () => {
    expect(gunzip(gzipSync(noise, { filename: "a" }), "a.gz")).toEqual(noise);
    const zip = zipSync({ "a/b.bin": noise, "c.txt": [utf8("stored"), { level: 0 }] });
    expect(readZip(zip, "z.zip").map((member) => [member.name, member.read()])).toEqual([
      ["a/b.bin", noise],
      ["c.txt", utf8("stored")],
    ]);
  });

  test("a declared size that is too large, or not the real one, is refused", () => {
    const packed = gzipSync(noise).subarray(10);
    expect(() => inflateExactly(packed, 2 ** 40, "a")).toThrow(/cannot hold the declared/);
    expect(() => inflateExactly(packed, noise.length - 1, "a")).toThrow(/more than the 4999 bytes/);
    expect(() => inflateExactly(packed, noise.length + 1, "a")).toThrow(/unpacks to 5000 bytes/);
  });

  test("a bomb ends at its declared size", () => {
    const bomb = gzipSync(new Uint8Array(20_000_000));
    new DataView(bomb.buffer, bomb.byteOffset).setUint32(bomb.length - 4, 1000, true);
    expect(() => gunzip(bomb, "bomb.gz")).toThrow(/more than the 1000 bytes/);
  });

  test("paths that leave the zip, changed bytes and missing directories are refused", () => {
    expect(() => readZip(zipSync({ "../x": noise }), "z.zip")).toThrow(/leaves the zip/);
    const zip = zipSync({ x: [noise, { level: 0 }] });
    zip[500] = zip[500]! ^ 1;
    expect(() => readZip(zip, "z.zip")[0]!.read()).toThrow(/checksum differs/);
    expect(() => readZip(zip.subarray(0, 1000), "z.zip")).toThrow(/no directory/);
  });
});

describe("arrays", () => {
  const npz = (arrays: Record<string, Uint8Array>): Uint8Array =>
    zipSync(Object.fromEntries(Object.entries(arrays).map(([name, file]) => [`${name}.npy`, file])));
  const read = (arrays: Record<string, Uint8Array>, steps = false) =>
    [...readNpz(npz(arrays), "a.npz", steps)].map(({ data, shape, label, origin, part }) => ({ data: [...data], shape, label, origin, part }));

  test("each array finds its labels by length and name", () => {
    const found = read({
      x_train: npyFile("float32", [2, 2], Float32Array.of(1, 2, 3, 4)),
      y_train: npyFile("int64", [2], BigInt64Array.of(1n, 0n)),
      x_test: npyFile("float32", [2, 2], Float32Array.of(5, 6, 7, 8)),
      y_test: npyFile("uint8", [2], Uint8Array.of(3, 4)),
    });
    expect(found.map(({ label, part }) => [label, part])).toEqual([
      ["1", "train"],
      ["0", "train"],
      ["3", "test"],
      ["4", "test"],
    ]);
    expect(found[0]).toMatchObject({ data: [1, 2], shape: [2, 1], origin: "x_train" });
  });

  test("instants last as long as their label", () => {
    const arrays = {
      p1_xyz: npyFile(
        "int16",
        [4, 3],
        Int16Array.from({ length: 12 }, (_, i) => i),
      ),
      p1_act: npyFile("uint8", [4], Uint8Array.of(2, 2, 5, 5)),
    };
    expect(read(arrays, true).map(({ shape, label }) => [shape, label])).toEqual([
      [[2, 3], "2"],
      [[2, 3], "5"],
    ]);
  });

  test("a .npy file is one recording, or pictures", () => {
    const one = (file: Uint8Array) => [...readNpyRecordings(file, "a.npy")].map(({ shape, dtype }) => [shape, dtype]);
    expect(one(npyFile("float64", [3], Float64Array.of(1, 2, 3)))).toEqual([[[3, 1], "float32"]]);
    expect(one(npyFile("int16", [2, 3], new Int16Array(6)))).toEqual([[[2, 3], "int16"]]);
    expect(one(npyFile("uint8", [2, 2, 2, 1], new Uint8Array(8)))).toEqual([
      [[2, 2, 1], "uint8"],
      [[2, 2, 1], "uint8"],
    ]);
    expect(() => one(npyFile("float32", [2], Float32Array.of(1, Number.POSITIVE_INFINITY)))).toThrow(/element 1 is Infinity/);
  });
});
