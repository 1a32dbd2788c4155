import { elementCount } from "../base/index.ts";
import { inputOf, type OpCase, type OpDef, refuse, suffixOf, typeAt, unsupportedTypes } from "./op.ts";

const example = (from: "float32" | "int32" | "int64", to: "float32" | "int64"): OpCase => ({
  name: `${from} to ${to}`,
  attributes: {},
  inputs: [
    { dtype: from, shape: [4, 5], contents: Array.from({ length: 20 }, (_, i) => (i * 7) % 6) },
    { dtype: from, shape: [4], contents: [3, from === "float32" ? Number.NaN : 9, 0, 3], constant: true },
    { dtype: to, shape: [5], constant: true },
  ],
  outputs: [{ dtype: to, shape: [4, 5] }],
});

/** For each element of x the value whose key it equals, the first of equal keys; the last of values [keys + 1] where there is none. */
export const mapValues: OpDef = {
  name: "mapValues",
  infer(inputs) {
    const [x, keys, values] = [typeAt("mapValues", inputs, 0), typeAt("mapValues", inputs, 1, 1), typeAt("mapValues", inputs, 2, 1)];
    if (keys.dtype !== x.dtype) refuse("mapValues", `keys of ${keys.dtype} for elements of ${x.dtype}`);
    if (values.shape[0] !== keys.shape[0]! + 1) refuse("mapValues", `${values.shape[0]} values for ${keys.shape[0]} keys and one for all others`);
    return [{ dtype: values.dtype, shape: x.shape }];
  },
  loops(k, node) {
    const [x, keys, values] = [inputOf(node, 0), inputOf(node, 1), inputOf(node, 2)];
    if (!["float32", "int32", "int64"].includes(x.dtype)) throw unsupportedTypes(node);
    const [input, table, results, output] = [k.input(0, "x"), k.input(1, "keys"), k.input(2, "values"), k.output(0, "y")];
    const count = k.int("keys_each", keys.shape[0]!);
    k.for("i", 0, k.int("count", elementCount(x.shape)), (i) => {
      const value = k.let("value", input.load(i));
      const at = k.variable("at", count);
      k.for("key", 0, count, (key) => {
        const other = k.let("other", table.load(key));
        // What is not a number is a key like any other.
        const same = x.dtype === "float32" ? value.eq(other).or(value.ne(value).and(other.ne(other))) : value.eq(other);
        k.if(same.and(at.get().eq(count)), () => at.set(key));
      });
      output.store(i, results.load(at.get()));
    });
    return k.finish(`map_values_${suffixOf(x.dtype)}_${suffixOf(values.dtype)}`, "Elements by what stands for them in a table.");
  },
  cases: [
    example("float32", "float32"),
    example("float32", "int64"),
    example("int64", "float32"),
    example("int64", "int64"),
    example("int32", "int64"),
  ],
};
