import { describe, expect, it } from "vitest";
import { builder } from "flatbuffers/mjs/flexbuffers.js";
import { Xorshift32 } from "../../base/index.ts";
import { readFlexNumbers } from "./flexbuffers.ts";

const fail = (message: string): never => {
  throw new RangeError(message);
};

function encoded(entries: Readonly<Record<string, number | boolean>>): Uint8Array {
  const b = builder();
  b.startMap();
  for (const [name, value] of Object.entries(entries)) {
    b.addKey(name);
    if (typeof value === "boolean") b.add(value);
    else if (Number.isInteger(value)) b.addInt(value);
    else b.addFloat(value);
  }
  b.end();
  return b.finish();
}

describe("maps of numbers", () => {
  it.each([{ shift: 12 }, { a: -1, b: 70000, c: 2 ** 31 - 1 }, { clamping: true, start_index: 1, x: 0.5 }, { wide: 2 ** 40 }])("%o", (entries) => {
    expect(Object.fromEntries(readFlexNumbers(encoded(entries), fail))).toEqual(
      Object.fromEntries(Object.entries(entries).map(([name, value]) => [name, Number(value)])),
    );
  });

  it("as TensorFlow Lite Micro's window writes it, byte for byte", () => {
    const bytes = Uint8Array.from([0x73, 0x68, 0x69, 0x66, 0x74, 0, 1, 7, 1, 1, 1, 12, 4, 2, 0x24, 1]);
    expect([...readFlexNumbers(bytes, fail)]).toEqual([["shift", 12]]);
  });

  it("nothing at all is an empty map, and so is the empty map", () => {
    expect(readFlexNumbers(new Uint8Array(0), fail).size).toBe(0);
    expect(readFlexNumbers(Uint8Array.from([0, 0, 1, 0, 0, 0x24, 1]), fail).size).toBe(0);
  });
});

it("damaged bytes give numbers or the one error", () => {
  const original = encoded({ alternate_smoothing: 983, clamping: false, smoothing: 410, spectral_subtraction_bits: 14, x: 2.5 });
  const random = new Xorshift32(11);
  let failures = 0;
  for (let i = 0; i < 20_000; i++) {
    const bytes = original.slice(0, random.int(0, 3) === 0 ? random.int(0, original.length) : original.length);
    for (let n = random.int(1, 4); n > 0 && bytes.length > 0; n--) bytes[random.int(0, bytes.length - 1)] = random.int(0, 255);
    try {
      readFlexNumbers(bytes, fail);
    } catch (error) {
      expect(error).toBeInstanceOf(RangeError);
      expect((error as Error).message).toContain("custom options");
      failures++;
    }
  }
  expect(failures).toBeGreaterThan(1000);
});
