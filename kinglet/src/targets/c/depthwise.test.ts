import { describe, expect, test } from "vitest";
import { type Banding, bandingBytes, chooseBanding, inputRows, type PlanarShape } from "./depthwise-banding.ts";
import { rowPlace } from "./depthwise-planes.ts";
import { cutRow } from "./depthwise-rows.ts";
import { rowTaps } from "./depthwise-taps.ts";

const half = (word: readonly [number, number], high: boolean): number => word[high ? 1 : 0];

/** Which input elements meet which taps, from the products of one output. */
function meetings(size: number, stride: number, from: number): Map<number, number> {
  const taps = rowTaps(size, stride);
  const met = new Map<number, number>();
  const meet = (element: number, tap: number): void => {
    if (tap < 0) return;
    expect(met.has(element)).toBe(false);
    met.set(element, tap);
  };
  for (const { input, weight, form } of taps.products(from)) {
    const word = taps.words[weight]!;
    if (form === "smlad") for (const high of [false, true]) meet(2 * input + (high ? 1 : 0), half(word, high));
    else if (form === "smlabt") meet(2 * input, half(word, true));
    else meet(2 * input + 1, half(word, false));
  }
  return met;
}

describe("words of a filter row", () => {
  test.each([1, 2, 3, 4, 5, 6, 7])("of %i taps: every input meets its own tap, once", (size) => {
    for (const stride of [1, 2, 3]) {
      for (let output = 0; output < 6; output++) {
        const from = output * stride;
        const expected = new Map(Array.from({ length: size }, (_, tap) => [from + tap, tap]));
        expect(new Map([...meetings(size, stride, from)].sort(([a], [b]) => a - b))).toEqual(expected);
      }
    }
  });

  test("three taps are two words, and four products for two outputs", () => {
    expect(rowTaps(3, 1).words.length).toBe(2);
    expect([0, 1].flatMap((from) => rowTaps(3, 1).products(from)).length).toBe(4);
  });
});

describe("a row", () => {
  test("is cut into groups that make up its width, turns of an even number of outputs", () => {
    for (let width = 1; width < 60; width++)
      for (const held of [false, true])
        for (const unroll of [false, true]) {
          const { looped, turns, rest } = cutRow(width, held, unroll);
          const size = looped.reduce((sum, count) => sum + count, 0);
          expect(turns * size + rest.reduce((sum, count) => sum + count, 0)).toBe(width);
          expect(size % 2).toBe(0);
          expect(Math.max(0, ...looped, ...rest)).toBeLessThanOrEqual(held ? 3 : 5);
        }
  });

  test("has each input in one half of a word", () => {
    for (let width = 1; width < 9; width++)
      for (let padLeft = 0; padLeft < 4; padLeft++) {
        const { firstWord, lead, pairs, tail } = rowPlace(width, padLeft);
        expect((lead ? 1 : 0) + 2 * pairs + (tail ? 1 : 0)).toBe(width);
        expect(2 * firstWord + (lead ? 1 : 0)).toBe(padLeft);
      }
  });
});

describe("bandings", () => {
  const a = { strideH: 1, strideW: 1, padTop: 1, padBottom: 1, padLeft: 1, padRight: 1, activation: "relu", depthMultiplier: 1 } as const;
  const map: PlanarShape = { batches: 1, inH: 24, inW: 24, channels: 32, outH: 24, outW: 24, filterH: 3, filterW: 3, a, pitch: 13 };
  const shrinking: PlanarShape = { ...map, outH: 12, outW: 12, a: { ...a, strideH: 2, strideW: 2 } };

  test("take the whole map of four channels where there is room", () => {
    expect(chooseBanding(map, Infinity)).toEqual({ channels: 4, rows: 24, order: "channels" });
    expect(bandingBytes(map, { channels: 4, rows: 24, order: "channels" })).toBe(4 * 4 * inputRows(map, 24) * 13);
  });

  test("never exceed the room as long as anything fits, and use no more the less there is", () => {
    for (const shape of [map, shrinking]) {
      let before = Infinity;
      for (let room = 8000; room >= 0; room -= 100) {
        const banding: Banding = chooseBanding(shape, room);
        const bytes = bandingBytes(shape, banding);
        const least = bandingBytes(shape, chooseBanding(shape, 0));
        expect(bytes).toBeLessThanOrEqual(Math.max(room, least));
        expect(shape.outH % banding.rows).toBe(0);
        before = Math.min(before, bytes);
      }
      expect(before).toBeLessThan(1000);
    }
  });

  test("lag by a band where the map shrinks, and not at all where it keeps its size", () => {
    expect(chooseBanding(map, 200).order).toBe("channels");
    expect(chooseBanding(shrinking, 700)).toMatchObject({ channels: 1, order: "bands" });
  });
});
