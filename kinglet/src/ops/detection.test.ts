import { describe, expect, it } from "vitest";
import { apply, numbers, tensor } from "./movement-testing.ts";

/** Two pairs that overlap (by 9/11 and by 1/3) and a box by itself; the third pair of corners is the other way round. */
const BOXES = [0, 0, 10, 10, 0, 1, 10, 11, 30, 30, 20, 20, 20, 25, 30, 35, 50, 50, 51, 51];
const SCORES = [0.9, 0.75, 0.6, 0.95, 0.3];
const boxes = tensor("float32", [5, 4], BOXES);
const CHOICE = { most: 5, iouThreshold: 0.5, inclusive: true, centered: false, scores: false };

const choose = (attributes: object, scores = SCORES): number[][] =>
  apply("nonMaxSuppression", [boxes, tensor("float32", [5], scores)], { ...CHOICE, ...attributes }).map(numbers);

describe("nonMaxSuppression", () => {
  it("chooses by score and drops what overlaps a better box; behind the chosen ones stands 0", () => {
    expect(choose({})).toEqual([[3, 0, 2, 4, 0], [4]]);
    expect(choose({ iouThreshold: 0.3 })).toEqual([[3, 0, 4, 0, 0], [3]]);
  });

  it("chooses no more than asked for, and nothing at or below the score threshold", () => {
    expect(choose({ most: 2 })).toEqual([[3, 0], [2]]);
    expect(choose({ scoreThreshold: 0.75, iouThreshold: 1 })).toEqual([[3, 0, 0, 0, 0], [2]]);
    expect(choose({ scoreThreshold: 2 })).toEqual([[0, 0, 0, 0, 0], [0]]);
  });

  it("takes the first of equal scores, and drops at the very threshold only where it is inclusive", () => {
    const same = tensor("float32", [3, 4], [0, 0, 2, 2, 0, 0, 2, 2, 0, 0, 2, 1]);
    const scores = tensor("float32", [3], [0.5, 0.5, 0.4]);
    const run = (inclusive: boolean): number[][] =>
      apply("nonMaxSuppression", [same, scores], { ...CHOICE, most: 3, iouThreshold: 0.5, inclusive }).map(numbers);
    expect(run(true)).toEqual([[0, 0, 0], [1]]);
    expect(run(false)).toEqual([[0, 2, 0], [2]]);
  });

  it("gives scores, and rows of batch, class and box for batches; centres mean the same boxes", () => {
    const centred = [5, 5, 10, 10, 6, 5, 10, 10, 25, 25, 10, 10, 30, 25, 10, 10, 50.5, 50.5, 1, 1];
    const scores = tensor("float32", [1, 2, 5], [...SCORES, 0.1, 0.2, 0.1, 0.1, 0.1]);
    const [rows, values, total] = apply("nonMaxSuppression", [tensor("float32", [1, 5, 4], centred), scores], {
      ...CHOICE,
      most: 2,
      centered: true,
      scores: true,
      scoreThreshold: 0.15,
    });
    expect(numbers(rows!)).toEqual([0, 0, 3, 0, 0, 0, 0, 1, 1, 0, 0, 0]);
    expect(numbers(values!)).toEqual([Math.fround(0.95), Math.fround(0.9), Math.fround(0.2), 0]);
    expect(numbers(total!)).toEqual([3]);
  });
});

describe("detectionPostprocess", () => {
  /** Encoded boxes of 0 are their anchors; the second anchor lies on the first. */
  const anchors = tensor("float32", [3, 4], [0.5, 0.5, 1, 1, 0.5, 0.5, 1, 0.9, 5, 5, 2, 2]);
  const encoded = tensor("float32", [1, 3, 4], [0, 0, 0, 0, 0, 0, 0, 0, 10, -10, 0, 5 * Math.log(2)]);
  /** A background, then two classes. */
  const scores = tensor("float32", [1, 3, 3], [0.9, 0.6, 0.1, 0, 0.5, 0.8, 0, 0.2, 0.7]);
  const OPTIONS = { classes: 2, most: 4, mostPerClass: 2, scoreThreshold: 0.15, iouThreshold: 0.5, scales: [10, 10, 5, 5] };
  const detect = (attributes: object): number[][] =>
    apply("detectionPostprocess", [encoded, scores, anchors], { ...OPTIONS, ...attributes }).map((t) =>
      numbers(t).map((x) => Math.round(x * 1e5) / 1e5),
    );

  it("decodes boxes and keeps each one's best class", () => {
    expect(detect({ byClass: false })).toEqual([[0, 0.05, 1, 0.95, 6, 1, 8, 5, 0, 0, 0, 0, 0, 0, 0, 0], [1, 1, 0, 0], [0.8, 0.7, 0, 0], [2]]);
  });

  it("chooses within each class, and orders what all of them chose", () => {
    const [, labels, values, count] = detect({ byClass: true });
    expect(labels).toEqual([1, 1, 0, 0]);
    expect(values).toEqual([0.8, 0.7, 0.6, 0.2]);
    expect(count).toEqual([4]);
    expect(detect({ byClass: true, mostPerClass: 1, most: 1 }).slice(1)).toEqual([[1], [0.8], [1]]);
  });
});

describe("roiAlign", () => {
  /** Pixel (y, x) is 10 · y + x, which bilinear sampling keeps. */
  const ramp = tensor(
    "float32",
    [1, 8, 8, 1],
    Array.from({ length: 64 }, (_, i) => 10 * Math.floor(i / 8) + (i % 8)),
  );
  const run = (region: number[], attributes: object): number[] => {
    const given = [ramp, tensor("float32", [1, 4], region), tensor("int64", [1], [0])];
    const options = { mode: "avg", outputHeight: 2, outputWidth: 2, samplingRatio: 2, spatialScale: 1, halfPixel: true };
    return numbers(apply("roiAlign", given, { ...options, ...attributes })[0]!);
  };

  it("samples the middle of each bin", () => {
    // Bins of 2 × 2 from the edge at (1, 1): their middles lie at 2 and 4, half a pixel less as coordinates.
    expect(run([1, 1, 5, 5], {})).toEqual([16.5, 18.5, 36.5, 38.5]);
    expect(run([1, 1, 5, 5], { halfPixel: false })).toEqual([22, 24, 42, 44]);
    expect(run([2, 2, 10, 10], { spatialScale: 0.5, samplingRatio: 0 })).toEqual([16.5, 18.5, 36.5, 38.5]);
  });

  it("counts nothing for samples beyond the image, and takes the largest weighted pixel where asked to", () => {
    expect(run([-20, -20, -10, -10], {})).toEqual([0, 0, 0, 0]);
    // One sample in the middle of four pixels: a quarter of the largest.
    expect(run([1.5, 1.5, 2.5, 2.5], { mode: "max", samplingRatio: 1, outputHeight: 1, outputWidth: 1 })).toEqual([22 * 1 * 0.25]);
  });
});
