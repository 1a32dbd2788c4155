import { elementCount } from "../base/index.ts";
import { inputOf, type OpDef, outputOf, refuse, suffixOf, typeAt } from "./op.ts";
import { casesForTypes } from "./move.ts";

export const readVariable: OpDef = {
  name: "readVariable",
  infer(inputs) {
    const { dtype, shape } = typeAt("readVariable", inputs, 0);
    return [{ dtype, shape }];
  },
  loops(k, node) {
    k.copy(k.output(0, "y"), 0, k.input(0, "variable"), 0, k.int("count", elementCount(outputOf(node).shape)));
    return k.finish(`read_variable_${suffixOf(outputOf(node).dtype)}`, "Copies a variable's contents out.");
  },
  cases: casesForTypes([[2, 3]], [[2, 3]], {}).map((one) => ({ ...one, inputs: one.inputs.map((x) => ({ ...x!, variable: true })) })),
};

export const assignVariable: OpDef = {
  name: "assignVariable",
  infer(inputs) {
    const [variable, x] = [typeAt("assignVariable", inputs, 0), typeAt("assignVariable", inputs, 1)];
    if (variable.dtype !== x.dtype || elementCount(variable.shape) !== elementCount(x.shape))
      refuse("assignVariable", "the variable and its new contents differ in type or size");
    return [];
  },
  loops(k, node) {
    const variable = k.input(0, "variable", true);
    k.copy(variable, 0, k.input(1, "x"), 0, k.int("count", elementCount(inputOf(node, 1).shape)));
    return k.finish(`assign_variable_${suffixOf(inputOf(node, 1).dtype)}`, "Gives a variable new contents.");
  },
  cases: casesForTypes(
    [
      [2, 3],
      [2, 3],
    ],
    [],
    {},
    ["int8", "float32"],
  ).map((one) => ({ ...one, inputs: one.inputs.map((x, i) => ({ ...x!, variable: i === 0 })) })),
};
