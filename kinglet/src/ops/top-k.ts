import { elementCount } from "../base/index.ts";
import { i32 } from "../loops/index.ts";
import { movedType } from "./move.ts";
import { attributesOf, inputOf, type OpDef, refuse, suffixOf, typeAt } from "./op.ts";

export interface TopKAttributes {
  readonly k: number;
  readonly largest: boolean;
}

/** The k largest (or smallest) elements of each row along the last axis, the best first, and where they lie; of equals the first. */
export const topK: OpDef = {
  name: "topK",
  infer(inputs, attributes) {
    const x = typeAt("topK", inputs, 0);
    const { k } = attributesOf<TopKAttributes>({ attributes });
    const size = x.shape[x.shape.length - 1] ?? 0;
    if (!(k >= 1 && k <= size)) refuse("topK", `there are no ${k} best of ${size} elements`);
    const shape = [...x.shape.slice(0, -1), k];
    return [
      { dtype: x.dtype, shape },
      { dtype: "int32", shape },
    ];
  },
  loops(k, node) {
    const { k: count, largest } = attributesOf<TopKAttributes>(node);
    const x = inputOf(node, 0);
    const [input, values, indices] = [k.input(0, "x"), k.output(0, "values"), k.output(1, "indices")];
    const size = x.shape[x.shape.length - 1]!;
    const [depth, kept] = [k.int("depth", size), k.int("kept", count)];
    const rows = k.int("rows", elementCount(x.shape) / size);
    // Every place holds something before any is read.
    k.for("first", 0, rows, (row) =>
      k.for("start", 0, kept, (start) => {
        const at = k.let("at", row.mul(kept).add(start));
        values.store(at, input.load(row.mul(depth).add(start)));
        indices.store(at, start);
      }),
    );
    k.for("row", 0, rows, (row) => {
      const [from, to] = [k.let("from", row.mul(depth)), k.let("to", row.mul(kept))];
      const filled = k.variable("filled", i32(0));
      // Insertion into the list of the best so far.
      k.for("i", 0, depth, (i) => {
        const value = k.let("value", input.load(from.add(i)));
        const place = k.variable("place", filled.get());
        k.for("step", 0, filled.get(), () => {
          const before = k.let("before", to.add(place.get()).sub(1).max(to));
          const other = k.let("other", values.load(before));
          k.if(
            place
              .get()
              .gt(0)
              .and(largest ? value.gt(other) : value.lt(other)),
            () => {
              k.if(place.get().lt(kept), () => {
                values.store(to.add(place.get()), other);
                indices.store(to.add(place.get()), indices.load(before));
              });
              place.set(place.get().sub(1));
            },
          );
        });
        k.if(place.get().lt(kept), () => {
          values.store(to.add(place.get()), value);
          indices.store(to.add(place.get()), i);
          filled.set(filled.get().add(1).min(kept));
        });
      });
    });
    return k.finish(`top_k_${largest ? "largest" : "smallest"}_${suffixOf(x.dtype)}`, "The best elements of each row, in order.");
  },
  cases: (["float32", "int8", "int64"] as const).flatMap((dtype) =>
    [true, false].map((largest) => ({
      name: `${dtype}${largest ? "" : ", smallest"}`,
      attributes: { k: 3, largest },
      inputs: [movedType(dtype, [4, 7])],
      outputs: [movedType(dtype, [4, 3]), { dtype: "int32", shape: [4, 3] } as const],
    })),
  ),
};
