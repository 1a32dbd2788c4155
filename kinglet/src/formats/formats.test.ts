import { describe, expect, it } from "vitest";
import { allocate, type DType, KingletError } from "../base/index.ts";
import { readModel, readNpy, writeNpy } from "./index.ts";

const DTYPES: readonly DType[] = ["float32", "float16", "float64", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "bool"];

/** A .npy file with this header text, written by hand. */
function npy(version: number, header: string, data: number[]): Uint8Array {
  const length = version === 1 ? [header.length & 255, header.length >> 8] : [header.length & 255, header.length >> 8, 0, 0];
  return Uint8Array.of(0x93, ...new TextEncoder().encode("NUMPY"), version, 0, ...length, ...new TextEncoder().encode(header), ...data);
}

const header = (parts: { descr?: string; fortran?: string; shape?: string }): string =>
  `{'descr': '${parts.descr ?? "<i2"}', 'fortran_order': ${parts.fortran ?? "False"}, 'shape': ${parts.shape ?? "(2,)"}, }\n`;

describe("npy", () => {
  it.each(DTYPES)("returns %s as written", (dtype) => {
    for (const shape of [[], [3], [2, 0], [2, 3, 1]]) {
      const data = allocate(
        dtype,
        shape.reduce((a, b) => a * b, 1),
      );
      for (let i = 0; i < data.length; i++) data[i] = typeof data[i] === "bigint" ? BigInt(i) : i;
      const file = writeNpy({ dtype, shape, data });
      expect(readNpy(file, "x.npy")).toEqual({ dtype, shape, data });
      expect((file.length - data.byteLength) % 64).toBe(0);
    }
  });

  it.each([1, 2, 3])("reads version %i", (version) => {
    expect(readNpy(npy(version, header({}), [1, 0, 2, 0]), "x.npy").data).toEqual(Int16Array.of(1, 2));
  });

  it("copies the elements of a Node buffer", () => {
    const file = Buffer.from(npy(1, header({}), [1, 0, 2, 0]));
    const { data } = readNpy(file, "x.npy");
    file.fill(0);
    expect(data).toEqual(Int16Array.of(1, 2));
  });

  it.each([
    ["Fortran order", npy(1, header({ fortran: "True" }), [1, 0, 2, 0])],
    ["big-endian elements", npy(1, header({ descr: ">i2" }), [1, 0, 2, 0])],
    ["objects", npy(1, header({ descr: "|O" }), [1, 0, 2, 0])],
    ["too few elements", npy(1, header({}), [1, 0, 2])],
    ["a shape beyond the file", npy(1, header({ shape: "(99999999999, 99999999999)" }), [1])],
    ["another version", npy(9, header({}), [])],
    ["no magic", new Uint8Array(20)],
    ["a header beyond the file", npy(2, header({}), []).subarray(0, 20)],
  ])("refuses %s", (_what, bytes) => {
    expect(() => readNpy(bytes, "x.npy")).toThrow(KingletError);
  });
});

describe("readModel", () => {
  it("says what it expected", () => {
    expect(() => readModel(new Uint8Array(3), "x.bin")).toThrow(/not a model that Kinglet can read/);
  });
});
