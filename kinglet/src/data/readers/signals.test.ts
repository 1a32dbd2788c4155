import { describe, expect, test } from "vitest";
import { readCsv } from "./csv.ts";
import { readCbor } from "./cbor.ts";
import { readEdgeImpulseCbor, readEdgeImpulseJson } from "./edge-impulse.ts";
import { chunk, sound, utf8, wavFile } from "./testing.ts";
import { readWav } from "./wav.ts";

const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);

describe("wav", () => {
  test("16 bits stay what they are", () => {
    const { data, dtype, shape, rateHz, fullScale } = readWav(sound([0, 1, -32768, 32767], 16000), "a.wav");
    expect({ data, dtype, shape, rateHz, fullScale }).toEqual({
      data: Int16Array.of(0, 1, -32768, 32767),
      dtype: "int16",
      shape: [4, 1],
      rateHz: 16000,
      fullScale: 32768,
    });
  });

  test.each([
    ["8 bits", { bits: 8, data: bytes(0, 128, 255) }, [-32768, 0, 32512]],
    ["24 bits", { bits: 24, data: bytes(0, 0, 0x80, 0, 0, 0x40, 255, 255, 255) }, [-1, 0.5, -(2 ** -23)]],
    ["32 bits", { bits: 32, data: new Uint8Array(Int32Array.of(-(2 ** 31), 2 ** 30).buffer) }, [-1, 0.5]],
    ["float", { coding: 3, bits: 32, data: new Uint8Array(Float32Array.of(0.25, -0.5).buffer) }, [0.25, -0.5]],
    ["double", { coding: 3, bits: 64, data: new Uint8Array(Float64Array.of(0.25, -0.5).buffer) }, [0.25, -0.5]],
    ["extensible", { extensible: true, data: new Uint8Array(Int16Array.of(5).buffer) }, [5]],
    ["stereo", { channels: 2, data: new Uint8Array(Int16Array.of(10, 20, -3, -4).buffer) }, [15, -3]],
  ])("%s", (_, parts, want) => expect([...readWav(wavFile(parts), "a.wav").data]).toEqual(want));

  test("chunks of odd length may come before the sound", () => {
    expect([...readWav(wavFile({ data: bytes(7, 0), before: [chunk("LIST", bytes(1, 2, 3))] }), "a.wav").data]).toEqual([7]);
  });

  test.each([
    ["no RIFF", utf8("something else entirely"), /not a wav file/],
    ["cut", sound([1, 2, 3, 4]).subarray(0, 47), /"data" declares 8 bytes and the file holds 3/],
    ["half a frame", wavFile({ channels: 2, data: bytes(1, 2, 3, 4, 5, 6) }), /ends inside a frame of 4 bytes/],
    ["no sound", sound([]), /empty/],
    ["ADPCM", wavFile({ coding: 2, bits: 4, data: bytes(1) }), /coding 2 with 4 bits/],
    ["NaN", wavFile({ coding: 3, bits: 32, data: new Uint8Array(Float32Array.of(1, Number.NaN).buffer) }), /element 1 is NaN/],
  ])("refuses %s", (_, file, pattern) => expect(() => readWav(file, "a.wav")).toThrow(pattern));
});

describe("csv", () => {
  const read = (text: string, options = {}) =>
    [...readCsv(utf8(text), "t.csv", options)].map(({ data, shape, label, group }) => ({ data: [...data], shape, label, group }));

  test("rows with a label are samples", () => {
    expect(read("1,0.5,2\n0,3,4\n", { label: "1" })).toEqual([
      { data: [0.5, 2], shape: [2, 1], label: "1", group: undefined },
      { data: [3, 4], shape: [2, 1], label: "0", group: undefined },
    ]);
  });

  test("a recording column divides instants", () => {
    const text = 'recording,label,person,x,y\n0,"a, b",p,1,2\n0,"a, b",p,3,4\n1,c,q,5,6\n';
    expect(read(text, { group: "person" })).toEqual([
      { data: [1, 2, 3, 4], shape: [2, 2], label: "a, b", group: "p" },
      { data: [5, 6], shape: [1, 2], label: "c", group: "q" },
    ]);
  });

  test("lines of dashes divide instants, and the first one may come first", () => {
    expect(read("-,-\n1, 2\n3,4\n-,-\n5,6\n").map(({ shape }) => shape)).toEqual([
      [2, 2],
      [1, 2],
    ]);
  });

  test("semicolons with decimal commas, tabs, blanks, windows line ends", () => {
    for (const text of ["x;y\r\n1,5;2\r\n", "x\ty\n1.5\t2\n", "x y\n1.5   2\n"])
      expect(read(text)[0]).toMatchObject({ data: [1.5, 2], shape: [1, 2] });
  });

  test("columns are chosen, times left out", () => {
    expect(read("timestamp,x,y\n0,1,2\n")[0]!.data).toEqual([1, 2]);
    expect(read("timestamp,x,y\n0,1,2\n", { columns: ["y", "timestamp"] })[0]!.data).toEqual([2, 0]);
  });

  test.each([
    ["", /empty/],
    ["x,y\n", /no rows/],
    ["x,y\n1,2\n3\n", /line 3: the line has 1 columns/],
    ["x,y\n1,NaN\n", /line 2, column y: "NaN" is not a finite number/],
    ["x,y\n1,1e999\n", /not a finite number/],
    ["x,y\n1,\n", /the cell is empty/],
    ["label\na\n", /no column is left/],
  ])("refuses %j", (text, pattern) => {
    try {
      read(text);
      expect.unreachable();
    } catch (error) {
      expect((error as { describe(): string }).describe()).toMatch(pattern);
    }
  });

  test("names the columns when one is missing", () => expect(() => read("x,y\n1,2\n", { label: "z" })).toThrow(/no column "z"/));
});

/** Vectors of RFC 8949, appendix A. */
const CBOR: readonly [string, unknown][] = [
  ["00", 0],
  ["1903e8", 1000],
  ["1b000000e8d4a51000", 1000000000000],
  ["3903e7", -1000],
  ["f93c00", 1],
  ["f90001", 5.960464477539063e-8],
  ["fa47c35000", 100000],
  ["fb3ff199999999999a", 1.1],
  ["f9fc00", Number.NEGATIVE_INFINITY],
  ["f5", true],
  ["f6", null],
  ["c074323031332d30332d32315432303a30343a30305a", "2013-03-21T20:04:00Z"],
  ["4401020304", Uint8Array.of(1, 2, 3, 4)],
  ["62c3bc", "ü"],
  ["83018202039f0405ff", [1, [2, 3], [4, 5]]],
  ["9f018202039f0405ffff", [1, [2, 3], [4, 5]]],
  ["a26161016162820203", { a: 1, b: [2, 3] }],
  ["bf61610161629f0203ffff", { a: 1, b: [2, 3] }],
  ["7f657374726561646d696e67ff", "streaming"],
];

describe("cbor", () => {
  test.each(CBOR)("%s", (hex, want) => expect(JSON.stringify(readCbor(new Uint8Array(Buffer.from(hex, "hex")), "x"))).toBe(JSON.stringify(want)));

  test.each(["9b7fffffffffffffff", "5a7fffffff", "81".repeat(100), "1c", "ff", "9f01", "0000", "a1f401", ""])("refuses %s", (hex) =>
    expect(() => readCbor(Buffer.from(hex, "hex"), "x")).toThrow(expect.objectContaining({ code: "bad-input" })),
  );
});

describe("Edge Impulse", () => {
  const document = (values: unknown, extra = {}) => ({
    protected: { ver: "v1", alg: "none" },
    signature: "0",
    payload: {
      device_type: "X",
      interval_ms: 10,
      sensors: [
        { name: "x", units: "m/s2" },
        { name: "y", units: "m/s2" },
      ],
      values,
      ...extra,
    },
  });
  const json = (value: unknown): Uint8Array => utf8(JSON.stringify(value));

  test("json", () => {
    expect(
      readEdgeImpulseJson(
        json(
          document([
            [1, 2],
            [3, 4.5],
          ]),
        ),
        "wave.1.json",
      ),
    ).toMatchObject({
      data: Float32Array.of(1, 2, 3, 4.5),
      shape: [2, 2],
      rateHz: 100,
      channels: ["x", "y"],
    });
  });

  test("cbor", () => {
    // {"payload": {"interval_ms": 0.5, "sensors": [{"name": "a", "units": "wav"}], "values": [1, -2]}}
    const text = (value: string): number[] => [0x60 + value.length, ...utf8(value)];
    const payload = [
      0xa3,
      ...text("interval_ms"),
      0xf9,
      0x38,
      0,
      ...text("sensors"),
      0x81,
      0xa2,
      ...text("name"),
      ...text("a"),
      ...text("units"),
      ...text("wav"),
      ...text("values"),
      0x82,
      1,
      0x21,
    ];
    const found = readEdgeImpulseCbor(bytes(0xa1, ...text("payload"), ...payload), "a.cbor");
    expect(found).toMatchObject({ data: Int16Array.of(1, -2), dtype: "int16", rateHz: 2000, fullScale: 32768, shape: [2, 1] });
  });

  test.each([
    [document([[1]]), /values\[0\]: the row has 1 numbers/],
    [document([]), /no values/],
    [document([["a", 1]]), /sensor 0 is not a number/],
    [document([[1, 2]], { sensors: [] }), /no sensors/],
    [{ a: 1 }, /no "payload"/],
    [null, /no "payload"/],
  ])("refuses %j", (value, pattern) => {
    try {
      readEdgeImpulseJson(json(value), "x.json");
      expect.unreachable();
    } catch (error) {
      expect((error as { describe(): string }).describe()).toMatch(pattern);
    }
  });
});
