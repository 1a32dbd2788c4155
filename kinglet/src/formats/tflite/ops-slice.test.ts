import fc from "fast-check";
import { expect, test } from "vitest";
import { type Graph, GraphBuilder } from "../../graph/index.ts";
import { readTflite } from "./read.ts";
import { writeTflite } from "./write.ts";

interface Cut {
  readonly dim: number;
  readonly begin: number;
  readonly stride: number;
  readonly extent: number;
  /** Whether a dimension of length 1 vanishes from the output, and how many new ones stand before it. */
  readonly vanishes: boolean;
  readonly before: number;
}

const cut: fc.Arbitrary<Cut> = fc
  .record({ stride: fc.constantFrom(1, 1, 2, 3, -1, -2), extent: fc.integer({ min: 1, max: 4 }), low: fc.nat(3), spare: fc.nat(3) })
  .chain(({ stride, extent, low, spare }) => {
    const reach = (extent - 1) * Math.abs(stride);
    const fixed = { dim: low + reach + 1 + spare, begin: stride > 0 ? low : low + reach, stride, extent };
    return fc.record({ vanishes: fc.boolean(), before: fc.nat(1) }).map((rest) => ({ ...fixed, ...rest }));
  });

function sliceOf(cuts: readonly Cut[]): Graph {
  const newShape = cuts.flatMap(({ extent, vanishes, before }) => [
    ...new Array<number>(before).fill(1),
    ...(vanishes && extent === 1 ? [] : [extent]),
  ]);
  const b = new GraphBuilder("slice");
  const x = b.input("x", { dtype: "float32", shape: cuts.map(({ dim }) => dim) });
  const y = b.value("y", { dtype: "float32", shape: newShape });
  const attributes = { begin: cuts.map(({ begin }) => begin), strides: cuts.map(({ stride }) => stride), shape: cuts.map(({ extent }) => extent) };
  b.node("stridedSlice", [x], [y], { ...attributes, newShape });
  b.output(y);
  return b.build();
}

test("any strided slice is one operator that reads back, whichever dimensions vanish or are new", () => {
  fc.assert(
    fc.property(fc.array(cut, { minLength: 1, maxLength: 4 }), (cuts) => {
      const graph = sliceOf(cuts);
      const { nodes } = readTflite(writeTflite(graph), "slice");
      expect(nodes.map(({ op }) => op)).toEqual(["stridedSlice"]);
      // Of one element every stride means the same.
      const { strides, ...rest } = nodes[0]!.attributes;
      const wanted = graph.nodes[0]!.attributes;
      expect(rest).toEqual({ begin: wanted["begin"], shape: wanted["shape"], newShape: wanted["newShape"] });
      cuts.forEach(({ extent, stride }, i) => {
        if (extent > 1) expect((strides as readonly number[])[i]).toBe(stride);
      });
    }),
    { numRuns: 500 },
  );
});
