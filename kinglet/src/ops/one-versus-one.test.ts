import { describe, expect, it } from "vitest";
import { apply, numbers, tensor } from "./movement-testing.ts";

describe("one versus one", () => {
  it("adds up what both classes of a pair say", () => {
    const kernels = tensor("float32", [1, 4], [1, 2, 3, 4]);
    // Vectors of the classes 0, 1, 1, 2; row j − 1 is the first class's coefficients against j, row i the later one's against i.
    const coefficients = tensor("float32", [2, 4], [1, 10, 20, 30, 2, 100, 200, 300]);
    const scores = apply("oneVersusOneScores", [kernels, coefficients, tensor("float32", [3], [0.5, 0.25, 0.125])], { vectors: [1, 2, 1] })[0]!;
    const [zeroOne, zeroTwo, oneTwo] = [1 * 1 + (10 * 2 + 20 * 3), 2 * 1 + 30 * 4, 100 * 2 + 200 * 3 + 300 * 4];
    expect(numbers(scores)).toEqual([zeroOne + 0.5, zeroTwo + 0.25, oneTwo + 0.125]);
  });

  it("counts the pairs that a class wins; 0 speaks for the second", () => {
    // (0,1) for 0, (0,2) for 2, (0,3) for 3, (1,2) for 1, (1,3) for 3, (2,3) for 2.
    expect(numbers(apply("oneVersusOneVotes", [tensor("float32", [1, 6], [1, -1, 0, 1, -2, 3])])[0]!)).toEqual([1, 1, 2, 2]);
  });

  const probabilities = (scores: readonly number[]): number[] => {
    const [pairs, slopes] = [scores.length, scores.map(() => -1)];
    const given = [
      tensor("float32", [1, pairs], scores),
      tensor("float32", [pairs], slopes),
      tensor(
        "float32",
        [pairs],
        scores.map(() => 0),
      ),
    ];
    return numbers(apply("oneVersusOneProbabilities", given)[0]!);
  };

  it("gives two classes the probabilities of their sigmoid", () => {
    const p = 1 / (1 + Math.exp(-1.5));
    const [first, second] = probabilities([1.5]);
    expect(first).toBeCloseTo(p, 2);
    expect(first! + second!).toBeCloseTo(1, 6);
  });

  it("gives classes that nothing tells apart even probabilities", () => {
    probabilities([0, 0, 0]).forEach((p) => expect(p).toBeCloseTo(1 / 3, 6));
  });

  it("finds the probabilities that pairs follow from", () => {
    const truth = [0.5, 0.25, 0.15, 0.1];
    const pairs = [0, 1, 2, 3].flatMap((i) => [0, 1, 2, 3].filter((j) => j > i).map((j) => Math.log(truth[i]! / truth[j]!)));
    probabilities(pairs).forEach((p, c) => expect(p).toBeCloseTo(truth[c]!, 2));
  });

  it.each([
    ["oneVersusOneVotes", [tensor("float32", [1, 4], [1, 2, 3, 4])], {}, "no number of pairs"],
    [
      "oneVersusOneScores",
      [tensor("float32", [1, 2], [1, 2]), tensor("float32", [1, 2], [1, 2]), tensor("float32", [1], [0])],
      { vectors: [1, 2] },
      "do not fit",
    ],
    [
      "oneVersusOneScores",
      [tensor("float32", [1, 2], [1, 2]), tensor("float32", [1, 2], [1, 2]), tensor("float32", [2], [0, 0])],
      { vectors: [1, 1] },
      "offset",
    ],
  ] as const)("%s refuses what does not fit", (op, inputs, attributes, message) => {
    expect(() => apply(op, inputs, attributes)).toThrow(message);
  });
});
