import { inputOf, type OpDef, outputOf, refuse, typeAt, unsupportedTypes } from "./op.ts";

/** The squares of the Euclidean distances of the rows x [n, features] from the rows y [m, features]: [n, m]. */
export const squaredDistances: OpDef = {
  name: "squaredDistances",
  infer(inputs) {
    const [x, y] = [typeAt("squaredDistances", inputs, 0, 2), typeAt("squaredDistances", inputs, 1, 2)];
    if (x.shape[1] !== y.shape[1]) refuse("squaredDistances", `rows of ${x.shape[1]} and of ${y.shape[1]} elements`);
    return [{ dtype: "float32", shape: [x.shape[0]!, y.shape[0]!] }];
  },
  loops(k, node) {
    const [x, y] = [inputOf(node, 0), inputOf(node, 1)];
    if (x.dtype !== "float32" || y.dtype !== "float32") throw unsupportedTypes(node);
    const [left, right, output] = [k.input(0, "x"), k.input(1, "y"), k.output(0, "z")];
    const [width, rows] = [k.int("features", x.shape[1]!), k.int("rows", y.shape[0]!)];
    k.for("n", 0, k.int("samples", x.shape[0]!), (n) =>
      k.for("m", 0, rows, (m) => {
        const [a, b] = [k.let("a", n.mul(width)), k.let("b", m.mul(width))];
        const sum = k.variable("sum", k.float("zero", 0));
        k.for("f", 0, width, (f) => {
          const difference = k.let("difference", left.load(a.add(f)).sub(right.load(b.add(f))));
          sum.set(sum.get().add(difference.mul(difference)));
        });
        output.store(n.mul(rows).add(m), sum.get());
      }),
    );
    return k.finish("squared_distances_f32", "Squared distances of rows from rows.");
  },
  macs: (node) => outputOf(node).shape.reduce((a, b) => a * b, inputOf(node, 0).shape[1]!),
  cases: [
    {
      name: "float",
      attributes: {},
      inputs: [
        { dtype: "float32", shape: [3, 7] },
        { dtype: "float32", shape: [5, 7], constant: true },
      ],
      outputs: [{ dtype: "float32", shape: [3, 5] }],
    },
  ],
};
