import { broadcastShapes, elementCount, shapeText } from "../base/index.ts";
import type { Node, ValueType } from "../graph/index.ts";
import { constant, type Expr, type KernelBuilder, type KernelInstance, type ScalarType } from "../loops/index.ts";
import { binaryTypes, eachBroadcast, makeCase, oneType, scaleOf, typed, zeroPointOf } from "./elementwise.ts";
import { reducedMultiplier, requantize, requantize64 } from "./fixed.ts";
import { attributesOf, inputOf, type OpDef, outputOf, refuse, suffixOf } from "./op.ts";
import { quantizeMultiplier, rangeOfDType } from "./quantization.ts";

export interface BatchMatmulAttributes {
  /** The matrices of the first (second) operand are stored transposed. */
  readonly adjX: boolean;
  readonly adjY: boolean;
}

const NAME = "batchMatmul";

/** Rows, depth and columns of one product. */
function sizesOf(
  a: ValueType,
  b: ValueType,
  attributes: BatchMatmulAttributes,
): { rows: number; depth: number; columns: number; otherDepth: number } {
  const [a0, a1] = a.shape.slice(-2) as [number, number];
  const [b0, b1] = b.shape.slice(-2) as [number, number];
  return {
    rows: attributes.adjX ? a1 : a0,
    depth: attributes.adjX ? a0 : a1,
    columns: attributes.adjY ? b0 : b1,
    otherDepth: attributes.adjY ? b1 : b0,
  };
}

/** The stored result of a sum; the factor starts from the scales' product in single precision. */
function finishFor(k: KernelBuilder, node: Node, type: ScalarType): (sum: Expr) => Expr {
  if (type === "f32") return (sum) => sum;
  const y = outputOf(node);
  const product = Math.fround(scaleOf(node, inputOf(node, 0)) * scaleOf(node, inputOf(node, 1)));
  const { multiplier, shift } = quantizeMultiplier(product / scaleOf(node, y));
  const wide = type === "i64";
  const { low, high } = rangeOfDType(y.dtype);
  return (sum) => {
    const scaled = k.call(
      wide ? requantize64 : requantize,
      sum,
      k.int("multiplier", wide ? reducedMultiplier(multiplier) : multiplier),
      k.int("shift", shift),
    );
    return scaled.add(k.int("zero_point", zeroPointOf(node, y))).clamp(low, high);
  };
}

function matmulLoops(k: KernelBuilder, node: Node): KernelInstance {
  const attributes = attributesOf<BatchMatmulAttributes>(node);
  const dtype = oneType(node, ["float32", "int8", "int16"]);
  const type: ScalarType = dtype === "float32" ? "f32" : dtype === "int8" ? "i32" : "i64";
  const [av, bv, yv] = [inputOf(node, 0), inputOf(node, 1), outputOf(node)];
  const [a, b] = [k.input(0, "a"), k.input(1, "b")];
  const y = k.output(0, "y");
  const sizes = sizesOf(av, bv, attributes);
  const [rows, depth, columns] = [k.int("rows", sizes.rows), k.int("depth", sizes.depth), k.int("columns", sizes.columns)];
  const finish = finishFor(k, node, type);
  const centered = (value: Expr, name: string, of: ValueType): Expr => (type === "f32" ? value : value.add(k.int(name, -zeroPointOf(node, of))));
  eachBroadcast(k, yv.shape.slice(0, -2), [av.shape.slice(0, -2), bv.shape.slice(0, -2)], (at, [ia, ib]) => {
    const aFirst = k.let("a_first", ia!.mul(rows).mul(depth));
    const bFirst = k.let("b_first", ib!.mul(depth).mul(columns));
    k.for("row", 0, rows, (row) =>
      k.for("column", 0, columns, (column) => {
        const acc = k.variable("acc", constant(0, type));
        k.for("d", 0, depth, (d) => {
          const left = a.load(aFirst.add(attributes.adjX ? d.mul(rows).add(row) : row.mul(depth).add(d)));
          const right = b.load(bFirst.add(attributes.adjY ? column.mul(depth).add(d) : d.mul(columns).add(column)));
          const [l, r] = [centered(left, "a_offset", av), centered(right, "b_offset", bv)];
          // 16-bit factors without zero points: a product fits 32 bits, the sum needs 64.
          acc.set(acc.get().add(l.mul(r).to(type)));
        });
        y.store(at.mul(rows).add(row).mul(columns).add(column), finish(k.let("sum", acc.get())));
      }),
    );
  });
  return k.finish(`batch_matmul_${suffixOf(dtype)}`, "Matrix products over broadcast leading dimensions.");
}

export const batchMatmul: OpDef = {
  name: NAME,
  infer(inputs, attributes) {
    const [a, b] = binaryTypes(NAME, inputs);
    if (a.shape.length < 2 || b.shape.length < 2) refuse(NAME, "operands need at least 2 dimensions");
    const sizes = sizesOf(a, b, attributesOf({ attributes }));
    if (sizes.depth !== sizes.otherDepth) refuse(NAME, `rows of ${sizes.depth} do not meet columns of ${sizes.otherDepth}`);
    const batch = broadcastShapes(a.shape.slice(0, -2), b.shape.slice(0, -2));
    if (batch === null) refuse(NAME, `the shapes ${shapeText(a.shape)} and ${shapeText(b.shape)} do not broadcast`);
    return [{ dtype: a.dtype, shape: [...batch, sizes.rows, sizes.columns] }];
  },
  loops: matmulLoops,
  macs: (node) => elementCount(outputOf(node).shape) * sizesOf(inputOf(node, 0), inputOf(node, 1), attributesOf(node)).depth,
  cases: [
    makeCase("int8", [typed("int8", [2, 3, 5], 0.05, 3), typed("int8", [2, 5, 4], 0.04, -7)], typed("int8", [2, 3, 4], 0.3, 9), {
      adjX: false,
      adjY: false,
    }),
    makeCase(
      "int8, transposed and broadcast",
      [typed("int8", [2, 1, 5, 3], 0.05, 3), typed("int8", [3, 4, 5], 0.04, -7)],
      typed("int8", [2, 3, 3, 4], 0.3, 9),
      { adjX: true, adjY: true },
    ),
    makeCase("int16", [typed("int16", [3, 5], 0.0005), typed("int16", [2, 5, 4], 0.0004)], typed("int16", [2, 3, 4], 0.02), {
      adjX: false,
      adjY: false,
    }),
    makeCase("float", [typed("float32", [1, 3, 5]), typed("float32", [2, 4, 5])], typed("float32", [2, 3, 4]), { adjX: false, adjY: true }),
    makeCase("float matrices", [typed("float32", [5, 3]), typed("float32", [5, 4])], typed("float32", [3, 4]), { adjX: true, adjY: false }),
  ],
};
