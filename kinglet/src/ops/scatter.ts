import type { Expr, KernelBuilder } from "../loops/index.ts";
import { elementCount } from "../base/index.ts";
import { MOVED_TYPES, movedType } from "./move.ts";
import { attributesOf, inputOf, type OpDef, refuse, suffixOf, typeAt, unsupportedTypes } from "./op.ts";

export interface ScatterAttributes {
  /** What a written element becomes: the update, or what joins both. Updates of one place follow each other. */
  readonly reduction: "none" | "add" | "mul" | "max" | "min";
}

function joined(reduction: ScatterAttributes["reduction"], old: Expr, update: Expr): Expr {
  const float = old.type === "f32";
  if (reduction === "add") return float ? old.add(update) : old.wrapAdd(update);
  if (reduction === "mul") return float ? old.mul(update) : old.wrapMul(update);
  return reduction === "max" ? old.max(update) : reduction === "min" ? old.min(update) : update;
}

const example = (dtype: (typeof MOVED_TYPES)[number], reduction: ScatterAttributes["reduction"]): OpDef["cases"][number] => ({
  name: `${dtype} ${reduction}`,
  attributes: { reduction },
  inputs: [movedType(dtype, [5, 3]), { dtype: reduction === "none" ? "int32" : "int64", shape: [4], low: 0, high: 4 }, movedType(dtype, [4, 3])],
  outputs: [movedType(dtype, [5, 3])],
});

/** A copy of x [rows, run] in which rows are written, or joined with, those of updates [count, run] by index [count]. */
export const scatter: OpDef = {
  name: "scatter",
  infer(inputs, attributes) {
    const [x, indices, updates] = [typeAt("scatter", inputs, 0, 2), typeAt("scatter", inputs, 1, 1), typeAt("scatter", inputs, 2, 2)];
    const { reduction } = attributesOf<ScatterAttributes>({ attributes });
    if (!["none", "add", "mul", "max", "min"].includes(reduction)) refuse("scatter", `there is no reduction "${reduction}"`);
    if (updates.dtype !== x.dtype || updates.shape[0] !== indices.shape[0] || updates.shape[1] !== x.shape[1])
      refuse("scatter", `updates of ${updates.dtype} [${updates.shape.join(",")}] do not fit ${x.dtype} [${x.shape.join(",")}]`);
    return [{ dtype: x.dtype, shape: x.shape }];
  },
  loops(k: KernelBuilder, node) {
    const { reduction } = attributesOf<ScatterAttributes>(node);
    const [x, indices] = [inputOf(node, 0), inputOf(node, 1)];
    if (indices.dtype !== "int32" && indices.dtype !== "int64") throw unsupportedTypes(node);
    const [input, table, updates, output] = [k.input(0, "x"), k.input(1, "indices"), k.input(2, "updates"), k.output(0, "y")];
    const [rows, run] = [k.int("rows", x.shape[0]!), k.int("run", x.shape[1]!)];
    k.copy(output, 0, input, 0, k.int("count", elementCount(x.shape)));
    k.for("u", 0, k.int("updated", indices.shape[0]!), (u) => {
      const row = k.let("row", table.load(u).to("i32").clamp(0, rows.sub(1)));
      k.for("i", 0, run, (i) => {
        const at = k.let("at", row.mul(run).add(i));
        output.store(at, joined(reduction, output.load(at), updates.load(u.mul(run).add(i))));
      });
    });
    return k.finish(`scatter_${reduction}_${suffixOf(x.dtype)}_${suffixOf(indices.dtype)}`, "Writes rows by index into a copy.");
  },
  cases: [
    ...MOVED_TYPES.map((dtype) => example(dtype, "none")),
    ...(["add", "mul", "max", "min"] as const).flatMap((reduction) => [example("float32", reduction), example("int64", reduction)]),
  ],
};
