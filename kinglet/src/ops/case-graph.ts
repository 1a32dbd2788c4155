import { allocate, type DType, elementCount, type TypedArray, type Xorshift32 } from "../base/index.ts";
import { type Graph, GraphBuilder, type Value, type ValueType } from "../graph/index.ts";
import type { CaseInput, OpDef } from "./op.ts";
import { rangeOfDType } from "./quantization.ts";

/** An operator's example cases as one graph, with contents for its inputs. */
export interface CaseGraph {
  readonly graph: Graph;
  readonly inputs: readonly TypedArray[];
}

function defaultRange(dtype: DType): { low: number; high: number } {
  if (dtype === "float32") return { low: -2, high: 2 };
  return dtype === "int32" || dtype === "int64" ? { low: -1000, high: 1000 } : rangeOfDType(dtype);
}

/** Contents for one input of a case: its own, or seeded random ones. */
export function caseContents(input: CaseInput, random: Xorshift32): TypedArray {
  const range = defaultRange(input.dtype);
  const [low, high] = [input.low ?? range.low, input.high ?? range.high];
  const data = allocate(input.dtype, elementCount(input.shape));
  for (let i = 0; i < data.length; i++) {
    const drawn = (): number => (input.dtype === "float32" ? low + ((high - low) * (random.float() + 1)) / 2 : random.int(low, high));
    const value = input.contents?.[i] ?? drawn();
    if (data instanceof BigInt64Array || data instanceof BigUint64Array) data[i] = BigInt(value);
    else data[i] = value;
  }
  return data;
}

/** What is said of a case beside the type does not belong into a graph. */
function typeOf({ dtype, shape, quantization }: ValueType): ValueType {
  return { dtype, shape, ...(quantization === undefined ? {} : { quantization }) };
}

/** All cases of an operator side by side in one graph, so that one build checks them all. */
export function caseGraph(op: OpDef, random: Xorshift32): CaseGraph {
  const builder = new GraphBuilder(`cases of ${op.name}`);
  const inputs: TypedArray[] = [];
  op.cases.forEach((example, c) => {
    const place = (input: CaseInput, i: number): Value => {
      const name = `case${c}_in${i}`;
      const contents = caseContents(input, random);
      const type = typeOf(input);
      if (input.constant === true) return builder.constant(name, type, contents);
      if (input.variable === true) return builder.variable(name, type, contents);
      inputs.push(contents);
      return builder.input(name, type);
    };
    const ins = example.inputs.map((input, i) => (input === null ? null : place(input, i)));
    const outs = example.outputs.map((output, i) => builder.value(`case${c}_out${i}`, typeOf(output)));
    builder.node(op.name, ins, outs, example.attributes, `${op.name}: ${example.name}`);
    for (const out of outs) builder.output(out);
    // A node that only writes a variable shows its work through that variable.
    if (outs.length === 0 && ins[0]) builder.output(ins[0]);
  });
  return { graph: builder.build(), inputs };
}
