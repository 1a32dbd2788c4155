import { elementCount, stridesOf } from "../base/index.ts";
import { type Expr, i32 } from "../loops/index.ts";
import { casesForTypes, MOVED_TYPES } from "./move.ts";
import { attributesOf, inputOf, type OpCase, type OpDef, outputOf, refuse, suffixOf, typeAt, unsupportedTypes } from "./op.ts";

interface GatherAttributes {
  readonly axis: number;
  readonly batchDims: number;
}

/** An index kept inside its dimension: loops never read outside a buffer. */
function bounded(index: Expr, size: Expr): Expr {
  return index.to("i32").clamp(0, size.sub(1));
}

const withIndices = (cases: OpCase[], shape: number[], high: number): OpCase[] =>
  cases.map((one, i) => ({ ...one, inputs: [one.inputs[0]!, { dtype: i % 2 === 0 ? "int32" : "int64", shape, low: 0, high }] }));

export const gather: OpDef = {
  name: "gather",
  infer(inputs, attributes) {
    const { axis, batchDims } = attributesOf<GatherAttributes>({ attributes });
    const [x, indices] = [typeAt("gather", inputs, 0), typeAt("gather", inputs, 1)];
    if (axis < 0 || axis >= x.shape.length || batchDims < 0 || batchDims > axis || batchDims > indices.shape.length)
      refuse("gather", `axis ${axis} with ${batchDims} batch dimensions does not fit`);
    if (indices.shape.slice(0, batchDims).some((size, d) => size !== x.shape[d]))
      refuse("gather", `the batches of [${x.shape.join(",")}] and of indices [${indices.shape.join(",")}] differ`);
    return [{ dtype: x.dtype, shape: [...x.shape.slice(0, axis), ...indices.shape.slice(batchDims), ...x.shape.slice(axis + 1)] }];
  },
  loops(k, node) {
    const { axis, batchDims } = attributesOf<GatherAttributes>(node);
    const [x, indices] = [inputOf(node, 0), inputOf(node, 1)];
    if (indices.dtype !== "int32" && indices.dtype !== "int64") throw unsupportedTypes(node);
    const [input, table, output] = [k.input(0, "x"), k.input(1, "indices"), k.output(0, "y")];
    const size = k.int("size", x.shape[axis]!);
    const outer = k.int("outer", elementCount(x.shape.slice(batchDims, axis)));
    const count = k.int("count", elementCount(indices.shape.slice(batchDims)));
    const run = k.int("run", elementCount(x.shape.slice(axis + 1)));
    k.for("b", 0, k.int("batches", elementCount(x.shape.slice(0, batchDims))), (b) =>
      k.for("o", 0, outer, (o) =>
        k.for("i", 0, count, (i) => {
          const row = k.let("row", b.mul(outer).add(o));
          const index = k.let("index", bounded(table.load(b.mul(count).add(i)), size));
          k.copy(output, row.mul(count).add(i).mul(run), input, row.mul(size).add(index).mul(run), run);
        }),
      ),
    );
    return k.finish(`gather_${suffixOf(x.dtype)}_${suffixOf(indices.dtype)}`, "Picks slices along one axis by index.");
  },
  cases: [
    ...withIndices(casesForTypes([[2, 5, 3], []], [[2, 4, 3]], { axis: 1, batchDims: 0 }, MOVED_TYPES), [4], 4),
    ...withIndices(casesForTypes([[2, 5, 3], []], [[2, 4, 3]], { axis: 1, batchDims: 1 }, ["int8"]), [2, 4], 4),
  ],
};

export const gatherNd: OpDef = {
  name: "gatherNd",
  infer(inputs) {
    const [x, indices] = [typeAt("gatherNd", inputs, 0), typeAt("gatherNd", inputs, 1)];
    const depth = indices.shape[indices.shape.length - 1] ?? 0;
    if (depth < 1 || depth > x.shape.length) refuse("gatherNd", `indices of ${depth} numbers do not fit ${x.shape.length} dimensions`);
    return [{ dtype: x.dtype, shape: [...indices.shape.slice(0, -1), ...x.shape.slice(depth)] }];
  },
  loops(k, node) {
    const [x, indices] = [inputOf(node, 0), inputOf(node, 1)];
    if (indices.dtype !== "int32" && indices.dtype !== "int64") throw unsupportedTypes(node);
    const depth = indices.shape[indices.shape.length - 1]!;
    const [input, table, output] = [k.input(0, "x"), k.input(1, "indices"), k.output(0, "y")];
    const run = k.int("run", elementCount(x.shape.slice(depth)));
    const strides = stridesOf(x.shape);
    k.for("i", 0, k.int("count", elementCount(indices.shape) / depth), (i) => {
      let from: Expr = i32(0);
      for (let d = 0; d < depth; d++)
        from = from.add(bounded(table.load(i.mul(depth).add(d)), k.int(`size_${d}`, x.shape[d]!)).mul(k.int(`stride_${d}`, strides[d]!)));
      k.copy(output, i.mul(run), input, k.let("from", from), run);
    });
    return k.finish(`gather_nd_${suffixOf(x.dtype)}_${suffixOf(indices.dtype)}`, "Picks slices by index tuples.");
  },
  cases: withIndices(casesForTypes([[3, 4, 2], []], [[5, 2]], {}), [5, 2], 2),
};

export const embeddingLookup: OpDef = {
  name: "embeddingLookup",
  infer(inputs) {
    const [ids, table] = [typeAt("embeddingLookup", inputs, 0), typeAt("embeddingLookup", inputs, 1)];
    return [
      { dtype: table.quantization === undefined || table.dtype !== "int8" ? table.dtype : "float32", shape: [...ids.shape, ...table.shape.slice(1)] },
    ];
  },
  loops(k, node) {
    const [ids, x, y] = [inputOf(node, 0), inputOf(node, 1), outputOf(node)];
    const hybrid = x.dtype === "int8" && y.dtype === "float32";
    if (ids.dtype !== "int32" || (x.dtype !== y.dtype && !hybrid)) throw unsupportedTypes(node);
    const [index, table, output] = [k.input(0, "ids"), k.input(1, "table"), k.output(0, "y")];
    const run = k.int("run", elementCount(x.shape.slice(1)));
    k.for("i", 0, k.int("count", elementCount(ids.shape)), (i) => {
      const row = k.let("row", bounded(index.load(i), k.int("rows", x.shape[0]!)));
      if (!hybrid) return k.copy(output, i.mul(run), table, row.mul(run), run);
      k.for("j", 0, run, (j) =>
        output.store(
          i.mul(run).add(j),
          table
            .load(row.mul(run).add(j))
            .to("f32")
            .mul(k.float("scale", x.quantization?.scales[0] ?? 1)),
        ),
      );
    });
    return k.finish(`embedding_lookup_${suffixOf(x.dtype)}_${suffixOf(y.dtype)}`, "Rows of a table by number.");
  },
  cases: [
    {
      name: "float",
      attributes: {},
      inputs: [
        { dtype: "int32", shape: [4], low: 0, high: 4 },
        { dtype: "float32", shape: [5, 3], constant: true },
      ],
      outputs: [{ dtype: "float32", shape: [4, 3] }],
    },
    {
      name: "int8 to float",
      attributes: {},
      inputs: [
        { dtype: "int32", shape: [4], low: 0, high: 4 },
        { dtype: "int8", shape: [5, 3], constant: true, quantization: { scales: [0.02], zeroPoints: [0], axis: 0 } },
      ],
      outputs: [{ dtype: "float32", shape: [4, 3] }],
    },
  ],
};
