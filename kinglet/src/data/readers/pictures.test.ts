import jpeg from "jpeg-js";
import { describe, expect, test } from "vitest";
import { Xorshift32 } from "../../base/index.ts";
import { readCifar } from "./cifar.ts";
import { readIdx } from "./idx.ts";
import { readJpeg } from "./jpeg.ts";
import { readPng } from "./png.ts";
import { idxFile, pngFile } from "./testing.ts";

const read = (parts: Parameters<typeof pngFile>[0]): number[] => [...readPng(pngFile(parts), "a.png").data];

/** The five filters, applied the way a writer does: the inverse of what the reader must undo. */
function filtered(filter: number, rows: readonly (readonly number[])[], step: number): number[] {
  return rows.flatMap((row, y) => [
    filter,
    ...row.map((value, i) => {
      const [left, up, corner] = [row[i - step] ?? 0, rows[y - 1]?.[i] ?? 0, rows[y - 1]?.[i - step] ?? 0];
      const p = left + up - corner;
      const [a, b, c] = [Math.abs(p - left), Math.abs(p - up), Math.abs(p - corner)];
      const paeth = a <= b && a <= c ? left : b <= c ? up : corner;
      return (value - [0, left, up, (left + up) >> 1, paeth][filter]!) & 255;
    }),
  ]);
}

describe("png", () => {
  const random = new Xorshift32(3);
  const rows = Array.from({ length: 4 }, () => Array.from({ length: 15 }, () => random.int(0, 255)));

  test.each([0, 1, 2, 3, 4])("filter %i", (filter) =>
    expect(read({ width: 5, height: 4, colour: 2, rows: filtered(filter, rows, 3) })).toEqual(rows.flat()),
  );

  test("few bits, palettes, sixteen bits, alpha", () => {
    expect(read({ width: 3, height: 1, depth: 1, rows: [0, 0b10100000] })).toEqual([255, 0, 255]);
    expect(read({ width: 3, height: 1, depth: 4, rows: [0, 0x0f, 0x80] })).toEqual([0, 255, 136]);
    expect(read({ width: 2, height: 1, depth: 2, colour: 3, palette: [1, 2, 3, 4, 5, 6], rows: [0, 0b01000000] })).toEqual([4, 5, 6, 1, 2, 3]);
    expect(read({ width: 1, height: 1, depth: 16, rows: [0, 200, 7] })).toEqual([200]);
    expect(read({ width: 1, height: 1, colour: 4, rows: [0, 9, 128] })).toEqual([9]);
    expect(read({ width: 1, height: 1, colour: 6, rows: [0, 1, 2, 3, 4] })).toEqual([1, 2, 3]);
  });

  test("interlaced: pixels of the seven passes find their places", () => {
    // 3 x 3: pass 1 has (0,0), pass 5 row 2 columns 0 and 2, pass 4 column 2 of row 0, pass 6 column 1 of rows 0 and 2, pass 7 row 1.
    const rows = [0, 1, 0, 3, 0, 7, 9, 0, 2, 0, 8, 0, 4, 5, 6];
    expect(read({ width: 3, height: 3, interlace: 1, rows })).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
  });

  test.each([
    ["a size of 0", { width: 0, height: 1, rows: [0] }, /declares 0×1 pixels/],
    ["a huge size", { width: 2 ** 31 - 1, height: 2 ** 31 - 1, rows: [0] }, /pixels/],
    ["a size beyond its data", { width: 8000, height: 8000, rows: [0] }, /cannot hold the declared/],
    ["too few rows", { width: 2, height: 2, rows: [0, 1, 2] }, /unpacks to 3 bytes and declares 6/],
    ["too many rows", { width: 1, height: 1, rows: [0, 1, 0, 2] }, /more than the 2 bytes/],
    ["an unknown filter", { width: 1, height: 1, rows: [5, 1] }, /unknown filter 5/],
    ["no palette", { width: 1, height: 1, colour: 3, rows: [0, 1] }, /no palette/],
  ])("refuses %s", (_, parts, pattern) => expect(() => read(parts)).toThrow(pattern));

  test("refuses a changed byte", () => {
    const file = pngFile({ width: 2, height: 2, rows: [0, 1, 2, 0, 3, 4] });
    file[20] = file[20]! ^ 1;
    expect(() => readPng(file, "a.png")).toThrow(/checksum differs/);
  });
});

describe("jpeg", () => {
  const file = (width: number, height: number): Uint8Array => {
    const data = new Uint8Array(4 * width * height);
    for (let i = 0; i < width * height; i++) data.set([200, 40, 90, 255], 4 * i);
    return new Uint8Array(jpeg.encode({ width, height, data }, 95).data);
  };

  test("gives the colours back", () => {
    const { data, shape, dtype } = readJpeg(file(9, 5), "a.jpg");
    expect({ shape, dtype }).toEqual({ shape: [5, 9, 3], dtype: "uint8" });
    data.forEach((value, i) => expect(Math.abs(value - [200, 40, 90][i % 3]!)).toBeLessThan(6));
  });

  test("refuses a size that the file cannot hold, before decoding", () => {
    const bytes = file(8, 8);
    const at = bytes.findIndex((byte, i) => byte === 0xff && bytes[i + 1] === 0xc0);
    bytes.set([0xff, 0xff, 0xff, 0xff], at + 5);
    expect(() => readJpeg(bytes, "a.jpg")).toThrow(/cannot hold the declared 65535×65535/);
  });

  test("refuses what is cut or something else", () => {
    expect(() => readJpeg(Uint8Array.of(1, 2, 3, 4), "a.jpg")).toThrow(/not a JPEG/);
    expect(() => readJpeg(file(8, 8).subarray(0, 100), "a.jpg")).toThrow(expect.objectContaining({ code: "bad-input" }));
  });
});

describe("idx and CIFAR", () => {
  test("idx", () => {
    expect(readIdx(idxFile([2, 1, 2], [1, 2, 3, 4]), "x")).toEqual({ dtype: "uint8", shape: [2, 1, 2], data: Uint8Array.of(1, 2, 3, 4) });
    const floats = Uint8Array.of(0, 0, 13, 1, 0, 0, 0, 1, 0x3f, 0x80, 0, 0);
    expect(readIdx(floats, "x").data).toEqual(Float32Array.of(1));
    expect(() => readIdx(idxFile([2, 2], [1, 2, 3]), "x")).toThrow(/needs 4 bytes and the file holds 3/);
    expect(() => readIdx(idxFile([2 ** 32 - 1, 2 ** 32 - 1], [1]), "x")).toThrow(/needs/);
    expect(() => readIdx(Uint8Array.of(0, 0, 99, 1, 0, 0, 0, 0), "x")).toThrow(/no known element type/);
  });

  test("CIFAR planes become pixels", () => {
    const record = new Uint8Array(3073);
    record[0] = 3;
    record.fill(10, 1, 1025).fill(20, 1025, 2049).fill(30, 2049);
    const [picture] = [...readCifar(record, "x.bin")];
    expect(picture).toMatchObject({ label: "cat", shape: [32, 32, 3] });
    expect([...picture!.data.subarray(0, 6)]).toEqual([10, 20, 30, 10, 20, 30]);
    record[0] = 10;
    expect(() => [...readCifar(record, "x.bin")]).toThrow(/record 0 has the label 10/);
    expect(() => [...readCifar(record.subarray(1), "x.bin")]).toThrow(/no whole number/);
  });
});
