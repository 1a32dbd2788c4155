import { describe, expect, it, test } from "vitest";
import { apply, at, counted, expectElements, numbers, tensor } from "./movement-testing.ts";

const SIZES = [
  [4, 6],
  [3, 2],
  [1, 1],
  [13, 5],
] as const;
const MODES = [
  ["plain", false, false],
  ["corners aligned", true, false],
  ["half pixel", false, true],
] as const;
const f = Math.fround;

/** Where an output row lies in the input, as a real number. */
function position(i: number, input: number, output: number, alignCorners: boolean, halfPixelCenters: boolean): number {
  if (alignCorners && output > 1) return (i * (input - 1)) / (output - 1);
  return halfPixelCenters ? ((i + 0.5) * input) / output - 0.5 : (i * input) / output;
}

describe.each(MODES)("resizeBilinear, %s", (_, alignCorners, halfPixelCenters) => {
  const real = (x: ReturnType<typeof counted>, [n, i, j, c]: number[], height: number, width: number): number => {
    const clamp = (v: number, size: number): number => Math.max(0, Math.min(size - 1, v));
    const y = clamp(position(i!, x.shape[1]!, height, alignCorners, halfPixelCenters), x.shape[1]!);
    const z = clamp(position(j!, x.shape[2]!, width, alignCorners, halfPixelCenters), x.shape[2]!);
    let sum = 0;
    for (const [h, w] of [
      [0, 0],
      [0, 1],
      [1, 0],
      [1, 1],
    ] as const) {
      const [row, column] = [Math.min(Math.floor(y) + h, x.shape[1]! - 1), Math.min(Math.floor(z) + w, x.shape[2]! - 1)];
      sum += at(x, [n!, row, column, c!]) * (h === 0 ? 1 - (y % 1) : y % 1) * (w === 0 ? 1 - (z % 1) : z % 1);
    }
    return sum;
  };

  describe.each(SIZES)("to %ix%i", (height, width) => {
    it("float", () => {
      const x = counted("float32", [2, 5, 4, 3]);
      const [y] = apply("resizeBilinear", [x], { height, width, alignCorners, halfPixelCenters });
      expect(y!.shape).toEqual([2, height, width, 3]);
      expectElements(y!, y!.shape, (index) => {
        const [got, expected] = [at(y!, index), real(x, index, height, width)];
        expect(Math.abs(got - expected)).toBeLessThan(1e-4);
        return got;
      });
    });

    test.each(["int8", "uint8", "int16"] as const)("%s", (dtype) => {
      // 97 times the error of a position that is kept in steps of 1/1024, for each direction and up to 13 steps long.
      const x = counted(dtype, [2, 5, 4, 3]);
      const [y] = apply("resizeBilinear", [x], { height, width, alignCorners, halfPixelCenters });
      expectElements(y!, [2, height, width, 3], (index) => {
        const [got, expected] = [at(y!, index), real(x, index, height, width)];
        expect(Math.abs(got - expected)).toBeLessThan(0.5 + (97 * (height + width)) / 2048);
        return got;
      });
    });
  });
});

it("interpolates integers in steps of 1/1024, half away from zero", () => {
  const x = tensor("int8", [1, 1, 2, 1], [-3, 0]);
  // −3, −1.5, 0, 0
  expect(numbers(apply("resizeBilinear", [x], { height: 1, width: 4, alignCorners: false, halfPixelCenters: false })[0]!)).toEqual([-3, -2, 0, 0]);
  // Three columns: steps of 683/1024 instead of 2/3; the third lies beyond the last element.
  const wide = tensor("int16", [1, 1, 2, 1], [0, 30000]);
  expect(numbers(apply("resizeBilinear", [wide], { height: 1, width: 3, alignCorners: false, halfPixelCenters: false })[0]!)).toEqual([
    0,
    Math.round((30000 * 683) / 1024),
    30000,
  ]);
});

/** TensorFlow Lite's rule in single precision. */
function nearest(i: number, input: number, output: number, alignCorners: boolean, halfPixelCenters: boolean): number {
  const scale = alignCorners && output > 1 ? f((input - 1) / (output - 1)) : f(input / output);
  const place = f((i + (halfPixelCenters ? 0.5 : 0)) * scale);
  return Math.max(0, Math.min(input - 1, Math.floor(alignCorners ? place + 0.5 : place)));
}

describe.each([...MODES, ["both", true, true] as const])("resizeNearest, %s", (_, alignCorners, halfPixelCenters) => {
  test.each(SIZES.flatMap(([height, width]) => (["int8", "int16", "float32", "int64"] as const).map((dtype) => [height, width, dtype] as const)))(
    "to %ix%i of %s",
    (height, width, dtype) => {
      const x = counted(dtype, [2, 5, 4, 3]);
      const [y] = apply("resizeNearest", [x], { height, width, alignCorners, halfPixelCenters });
      expectElements(y!, [2, height, width, 3], ([n, i, j, c]) =>
        at(x, [n!, nearest(i!, 5, height, alignCorners, halfPixelCenters), nearest(j!, 4, width, alignCorners, halfPixelCenters), c!]),
      );
    },
  );
});

it("resizeNearest doubles a picture", () => {
  const x = tensor("uint8", [1, 1, 2, 1], [7, 9]);
  expect(numbers(apply("resizeNearest", [x], { height: 2, width: 4, alignCorners: false, halfPixelCenters: false })[0]!)).toEqual([
    7, 7, 9, 9, 7, 7, 9, 9,
  ]);
});
