import fc from "fast-check";
import { expect, test } from "vitest";
import { type Compression, compress, decompress } from "./index.ts";

const UPDATE = Float32Array.from({ length: 101 }, (_, i) => Math.sin(i) * (i % 7));

test.each<[string, Compression, number]>([
  ["as it is", { kind: "none" }, 404],
  ["in 8 bits", { kind: "quantize", bits: 8 }, 105],
  ["in 4 bits", { kind: "quantize", bits: 4 }, 55],
  ["its largest tenth", { kind: "topK", share: 0.1 }, 80],
])("an update travels %s, and what does not travel is told", (_, how, bytes) => {
  const sent = compress(UPDATE, how, [1]);
  expect(sent.bytes).toHaveLength(bytes);
  expect(decompress(sent.bytes, UPDATE.length, how)).toEqual(sent.update);
  UPDATE.forEach((x, i) => expect(sent.update[i]! + sent.rest[i]!).toBeCloseTo(x, 5));
});

test("the largest numbers are the ones that travel", () => {
  const { update } = compress(Float32Array.of(1, -5, 2, 0, 5, -3), { kind: "topK", share: 0.5 }, []);
  expect(update).toEqual(Float32Array.of(0, -5, 0, 0, 5, -3));
});

test("quantized updates are right on average", () => {
  const mean = new Float64Array(UPDATE.length);
  for (let seed = 0; seed < 400; seed++) compress(UPDATE, { kind: "quantize", bits: 4 }, [seed]).update.forEach((x, i) => (mean[i]! += x / 400));
  // A step of 4 bits is 6/7; the mean of 400 lies within four of its standard deviations.
  UPDATE.forEach((x, i) => expect(Math.abs(mean[i]! - x)).toBeLessThan((4 * 0.5 * (6 / 7)) / 20));
});

test("bytes that are no update are refused", () => {
  const numbers = (bytes: Uint8Array, how: Compression) => () => decompress(bytes, 10, how);
  expect(numbers(new Uint8Array(39), { kind: "none" })).toThrow(/39 bytes/);
  expect(numbers(new Uint8Array(new Float32Array(10).fill(Number.NaN).buffer), { kind: "none" })).toThrow(/not finite/);
  expect(numbers(new Uint8Array(new Uint32Array([3, 0, 3, 0]).buffer), { kind: "topK", share: 0.1 })).toThrow(/place 3 of 10 comes after 3/);
  expect(numbers(new Uint8Array(new Uint32Array([10, 0]).buffer), { kind: "topK", share: 0.1 })).toThrow(/place 10/);
  expect(() => compress(UPDATE, { kind: "topK", share: 0 }, [])).toThrow(/share/);
});

test("any bytes give an update of finite numbers or a clear error", () => {
  const kinds: Compression[] = [{ kind: "none" }, { kind: "quantize", bits: 4 }, { kind: "quantize", bits: 8 }, { kind: "topK", share: 0.5 }];
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), fc.constantFrom(...kinds), (bytes, how) => {
      try {
        const update = decompress(bytes, 10, how);
        expect(update).toHaveLength(10);
        expect(update.every(Number.isFinite)).toBe(true);
      } catch (error) {
        expect(error).toMatchObject({ code: "bad-input" });
      }
    }),
  );
});
