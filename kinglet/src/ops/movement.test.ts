import { describe, expect, it, test } from "vitest";
import { KingletError } from "../base/index.ts";
import { apply, at, counted, expectElements, numbers, tensor } from "./movement-testing.ts";

/** One type of every element size; the copies do not look at the contents. */
describe.each(["int8", "int16", "float32", "int64", "bool"] as const)("%s", (dtype) => {
  const of = (shape: number[], first = 0): ReturnType<typeof counted> => counted(dtype, shape, first);

  test.each([0, 1, 2])("concatenation along axis %i", (axis) => {
    const sizes = [2, 1, 3];
    const shapeWith = (size: number): number[] => [2, 3, 4].map((dim, d) => (d === axis ? size : dim));
    const parts = sizes.map((size, i) => of(shapeWith(size), 31 * i));
    const q: [number, number] = [0.5, 3];
    const same = parts.map((part) => ({ ...part, quantization: { scales: [q[0]], zeroPoints: [q[1]], axis: 0 } }));
    const [y] = apply("concatenation", same, { axis, activation: "none" }, q);
    expectElements(y!, shapeWith(6), (index) => {
      const along = index[axis]!;
      const part = along < 2 ? 0 : along < 3 ? 1 : 2;
      return at(parts[part]!, index.with(axis, along - [0, 2, 3][part]!));
    });
  });

  test.each([0, 1, 2])("split along axis %i", (axis) => {
    const x = of([4, 4, 4]);
    const pieces = apply("split", [x], { axis, sizes: [1, 3] });
    pieces.forEach((piece, i) => expectElements(piece, [4, 4, 4].with(axis, [1, 3][i]!), (index) => at(x, index.with(axis, index[axis]! + i))));
    expect(pieces.length).toBe(2);
  });

  it("slices boxes", () => {
    const x = of([3, 4, 5]);
    expectElements(apply("slice", [x], { begin: [1, 0, 2], size: [2, 4, 3] })[0]!, [2, 4, 3], ([i, j, k]) => at(x, [i! + 1, j!, k! + 2]));
  });

  it("slices with strides of both signs and drops dimensions", () => {
    const x = of([3, 4, 7]);
    const [y] = apply("stridedSlice", [x], { begin: [2, 1, 6], strides: [-2, 1, -3], shape: [2, 1, 3], newShape: [2, 3] });
    expectElements(y!, [2, 3], ([i, k]) => at(x, [2 - 2 * i!, 1, 6 - 3 * k!]));
  });

  it("pads with a given number", () => {
    const x = of([2, 3, 2]);
    const [y] = apply("pad", [x], { before: [1, 0, 2], after: [0, 2, 1], value: 1 });
    expectElements(y!, [3, 5, 5], ([i, j, k]) => (i! >= 1 && j! < 3 && k! >= 2 && k! < 4 ? at(x, [i! - 1, j!, k! - 2]) : 1));
  });

  test.each([
    ["reflect", [3, 1]],
    ["symmetric", [4, 2]],
  ] as const)("mirrors: %s", (mode, most) => {
    const x = of([4, 2]);
    const mirrored = (i: number, size: number): number => {
      const repeat = mode === "symmetric" ? 1 : 0;
      return i < 0 ? -i - repeat : i >= size ? 2 * size - 2 + repeat - i : i;
    };
    const [y] = apply("mirrorPad", [x], { before: [...most], after: [1, most[1]], mode });
    expectElements(y!, [4 + most[0] + 1, 2 + 2 * most[1]], ([i, j]) => at(x, [mirrored(i! - most[0], 4), mirrored(j! - most[1], 2)]));
  });

  test.each([0, 1, 2])("packs and unpacks along axis %i", (axis) => {
    const parts = [0, 40, 80].map((first) => of([2, 4], first));
    const [y] = apply("pack", parts, { axis });
    expectElements(y!, [2, 4].toSpliced(axis, 0, 3), (index) => at(parts[index[axis]!]!, index.toSpliced(axis, 1)));
    expect(apply("unpack", [y!], { axis }).map(numbers)).toEqual(parts.map(numbers));
  });

  test.each([[[0, 1, 2, 3]], [[3, 2, 1, 0]], [[0, 2, 1, 3]], [[1, 3, 0, 2]], [[2, 3, 0, 1]]])("transposes by [%s]", (permutation) => {
    const x = of([2, 3, 4, 2]);
    const [y] = apply("transpose", [x], { permutation });
    expectElements(
      y!,
      permutation.map((d) => x.shape[d]!),
      (index) =>
        at(
          x,
          x.shape.map((_, d) => index[permutation.indexOf(d)]!),
        ),
    );
  });

  it("tiles", () => {
    const x = of([2, 3, 1]);
    expectElements(apply("tile", [x], { multiples: [3, 2, 4] })[0]!, [6, 6, 4], ([i, j]) => at(x, [i! % 2, j! % 3, 0]));
  });

  it("broadcasts", () => {
    const x = of([3, 1, 2]);
    expectElements(apply("broadcastTo", [x], { shape: [2, 3, 4, 2] })[0]!, [2, 3, 4, 2], ([, i, , k]) => at(x, [i!, 0, k!]));
  });

  it("fills", () => {
    expectElements(apply("fill", [of([], 7)], { shape: [2, 3] })[0]!, [2, 3], () => 35);
  });

  it("moves space to batches and back", () => {
    const x = of([2, 3, 4, 2]);
    const [y] = apply("spaceToBatch", [x], { block: [2, 3], before: [1, 0], after: [0, 2] });
    expectElements(y!, [12, 2, 2, 2], ([b, h, w, c]) => {
      const block = Math.floor(b! / 2);
      const [row, column] = [h! * 2 + Math.floor(block / 3) - 1, w! * 3 + (block % 3)];
      return row < 0 || column >= 4 ? 0 : at(x, [b! % 2, row, column, c!]);
    });
    const [back] = apply("batchToSpace", [y!], { block: [2, 3], cropsBefore: [1, 0], cropsAfter: [0, 2] });
    expect(back!.shape).toEqual(x.shape);
    expect(numbers(back!)).toEqual(numbers(x));
  });

  it("moves depth to space and back", () => {
    const x = of([2, 2, 3, 8]);
    const [y] = apply("depthToSpace", [x], { block: 2 });
    expectElements(y!, [2, 4, 6, 2], ([n, h, w, c]) => at(x, [n!, h! >> 1, w! >> 1, ((h! & 1) * 2 + (w! & 1)) * 2 + c!]));
    expect(numbers(apply("spaceToDepth", [y!], { block: 2 })[0]!)).toEqual(numbers(x));
  });

  test.each([0, 1, 2])("gathers along axis %i", (axis) => {
    const x = of([3, 4, 3]);
    const indices = tensor(axis === 1 ? "int64" : "int32", [2, 2], [2, 0, 1, 2]);
    const [y] = apply("gather", [x, indices], { axis, batchDims: 0 });
    expectElements(y!, x.shape.toSpliced(axis, 1, 2, 2), (index) => at(x, index.toSpliced(axis, 2, at(indices, index.slice(axis, axis + 2)))));
  });

  it("gathers within batches", () => {
    const x = of([2, 3, 4, 2]);
    const indices = tensor("int32", [2, 3], [3, 0, 1, 2, 2, 0]);
    const [y] = apply("gather", [x, indices], { axis: 2, batchDims: 1 });
    expectElements(y!, [2, 3, 3, 2], ([b, i, j, c]) => at(x, [b!, i!, at(indices, [b!, j!]), c!]));
  });

  it("gathers by tuples", () => {
    const x = of([3, 4, 2]);
    const indices = tensor("int32", [2, 2, 2], [2, 3, 0, 0, 1, 2, 2, 0]);
    expectElements(apply("gatherNd", [x, indices])[0]!, [2, 2, 2], ([i, j, c]) => at(x, [at(indices, [i!, j!, 0]), at(indices, [i!, j!, 1]), c!]));
  });
});

it("rescales the parts of a concatenation to its scale, half away from zero, saturated", () => {
  // 0.5 · (q − 2) / 0.25 + 1; 0.1 · q / 0.25 = 0.4 · q, + 1.
  const [y] = apply(
    "concatenation",
    [tensor("int8", [4], [2, 3, -3, 127], [0.5, 2]), tensor("int8", [3], [5, -10, 3], [0.125, 0])],
    { axis: 0, activation: "none" },
    [0.25, 1],
  );
  expect(numbers(y!)).toEqual([1, 3, -9, 127, 4, -4, 3]);
});

it("pads quantized tensors with real zero", () => {
  const x = tensor("uint8", [2], [200, 9], [0.1, 120]);
  expect(numbers(apply("pad", [x], { before: [1], after: [2] }, [0.1, 120])[0]!)).toEqual([120, 200, 9, 120, 120]);
  const [y] = apply(
    "spaceToBatch",
    [tensor("uint8", [1, 1, 2, 1], [200, 9], [0.1, 120])],
    { block: [1, 2], before: [0, 1], after: [0, 1] },
    [0.1, 120],
  );
  expect(numbers(y!)).toEqual([120, 9, 200, 120]);
});

it("looks up rows of embeddings, and turns int8 rows into floats", () => {
  const ids = tensor("int32", [3], [2, 0, 2]);
  expectElements(
    apply("embeddingLookup", [ids, tensor("float32", [3, 2], [1, 2, 3, 4, 5, 6])])[0]!,
    [3, 2],
    ([i, j]) => [5, 6, 1, 2, 5, 6][i! * 2 + j!]!,
  );
  const [y] = apply("embeddingLookup", [ids, tensor("int8", [3, 2], [1, -2, 3, 4, 127, -128], [0.5, 0])]);
  expect(y!.dtype).toBe("float32");
  expect(numbers(y!)).toEqual([63.5, -64, 0.5, -1, 63.5, -64]);
});

it("keeps indices that point outside within the tensor", () => {
  expect(numbers(apply("gather", [tensor("int8", [3], [7, 8, 9]), tensor("int32", [2], [-5, 99])], { axis: 0, batchDims: 0 })[0]!)).toEqual([7, 9]);
});

describe("shape rules refuse", () => {
  test.each([
    ["concatenation", [counted("int8", [2, 3]), counted("int8", [2, 4])], { axis: 0 }],
    ["split", [counted("int8", [5])], { axis: 0, sizes: [2, 2] }],
    ["slice", [counted("int8", [5])], { begin: [3], size: [3] }],
    ["stridedSlice", [counted("int8", [5])], { begin: [1], strides: [-1], shape: [3], newShape: [3] }],
    ["pad", [counted("int8", [5])], { before: [-1], after: [0] }],
    ["mirrorPad", [counted("int8", [3])], { before: [3], after: [0], mode: "reflect" }],
    ["mirrorPad", [counted("int8", [3])], { before: [0], after: [4], mode: "symmetric" }],
    ["pack", [counted("int8", [3]), counted("int8", [4])], { axis: 0 }],
    ["unpack", [counted("int8", [3])], { axis: 1 }],
    ["transpose", [counted("int8", [2, 2])], { permutation: [0, 0] }],
    ["tile", [counted("int8", [2])], { multiples: [0] }],
    ["broadcastTo", [counted("int8", [2])], { shape: [3] }],
    ["fill", [counted("int8", [2])], { shape: [3] }],
    ["depthToSpace", [counted("int8", [1, 1, 1, 3])], { block: 2 }],
    ["spaceToDepth", [counted("int8", [1, 3, 2, 1])], { block: 2 }],
    ["spaceToBatch", [counted("int8", [1, 3, 1])], { block: [2], before: [0], after: [0] }],
    ["batchToSpace", [counted("int8", [3, 1, 1])], { block: [2], cropsBefore: [0], cropsAfter: [0] }],
    ["batchToSpace", [counted("int8", [2, 1, 1])], { block: [2], cropsBefore: [2], cropsAfter: [0] }],
    ["gather", [counted("int8", [3]), counted("int32", [1])], { axis: 1, batchDims: 0 }],
    ["gather", [counted("int8", [2, 3]), counted("int32", [3, 1])], { axis: 1, batchDims: 1 }],
    ["gatherNd", [counted("int8", [3]), counted("int32", [1, 2])], {}],
    ["resizeBilinear", [counted("int8", [1, 2, 2, 1])], { height: 2, width: 2, alignCorners: true, halfPixelCenters: true }],
    ["cumsum", [counted("int32", [3])], { axis: 1, exclusive: false, reverse: false }],
  ] as const)("%s of what does not fit", (op, inputs, attributes) => {
    expect(() => apply(op, [...inputs], attributes)).toThrow(KingletError);
  });
});
