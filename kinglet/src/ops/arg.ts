import { type DType, elementCount } from "../base/index.ts";
import { i32 } from "../loops/index.ts";
import { casesForTypes } from "./move.ts";
import { attributesOf, inputOf, type OpDef, outputOf, refuse, suffixOf, typeAt } from "./op.ts";

interface ArgAttributes {
  readonly axis: number;
  readonly keepDims: boolean;
  readonly dtype: DType;
}

function argOp(name: string, largest: boolean): OpDef {
  const attributes = { axis: 1, keepDims: false };
  const examples = (dtype: DType): OpDef["cases"] =>
    casesForTypes([[3, 5, 2]], [], { ...attributes, dtype }, ["int8", "uint8", "float32"]).map((one) => ({
      ...one,
      name: `${one.name} to ${dtype}`,
      outputs: [{ dtype, shape: [3, 2] }],
    }));
  return {
    name,
    infer(inputs, given) {
      const a = attributesOf<ArgAttributes>({ attributes: given });
      const x = typeAt(name, inputs, 0);
      if (a.axis < 0 || a.axis >= x.shape.length) refuse(name, `axis ${a.axis} does not exist`);
      return [{ dtype: a.dtype, shape: a.keepDims ? x.shape.map((dim, d) => (d === a.axis ? 1 : dim)) : x.shape.toSpliced(a.axis, 1) }];
    },
    loops(k, node) {
      const { axis } = attributesOf<ArgAttributes>(node);
      const [x, y] = [inputOf(node, 0), outputOf(node)];
      const [input, output] = [k.input(0, "x"), k.output(0, "y")];
      const [inner, size] = [k.int("inner", elementCount(x.shape.slice(axis + 1))), k.int("size", x.shape[axis]!)];
      k.for("o", 0, k.int("outer", elementCount(x.shape.slice(0, axis))), (o) =>
        k.for("i", 0, inner, (i) => {
          const first = k.let("first", o.mul(size).mul(inner).add(i));
          const best = k.variable("best", input.load(first));
          const at = k.variable("at", i32(0));
          k.for("d", 1, size, (d) => {
            const value = k.let("value", input.load(first.add(d.mul(inner))));
            k.if(largest ? value.gt(best.get()) : value.lt(best.get()), () => {
              best.set(value);
              at.set(d);
            });
          });
          output.store(o.mul(inner).add(i), at.get().to(y.dtype === "int64" ? "i64" : "i32"));
        }),
      );
      return k.finish(
        `${largest ? "arg_max" : "arg_min"}_${suffixOf(x.dtype)}_${suffixOf(y.dtype)}`,
        "Where along an axis the extreme lies; the first of equals.",
      );
    },
    cases: [...examples("int32"), ...examples("int64")],
  };
}

export const argMax: OpDef = argOp("argMax", true);
export const argMin: OpDef = argOp("argMin", false);
