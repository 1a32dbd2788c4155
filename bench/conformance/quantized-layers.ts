import { bytesOf, type TypedArray } from "../../kinglet/src/base/index.ts";
import { readOnnx } from "../../kinglet/src/formats/index.ts";
import { evaluate } from "../../kinglet/src/targets/js/index.ts";
import { openOnnxNamed } from "../js/engines.mjs";
import { compare, type Outputs } from "./difference.ts";
import { CutModel, type Port } from "./onnx-cut.ts";
import { runRoundedOnce } from "./rounded-once.ts";

/** How one quantized tensor of a model lies in Kinglet beside ONNX Runtime, both computing it from the runtime's own tensors before it. */
export interface OnnxLayer {
  readonly name: string;
  readonly operators: readonly string[];
  readonly steps: number;
  /** Share of elements that are equal. */
  readonly equal: number;
  /** The same where Kinglet, too, rounds sums of bytes once, by a product of floats. */
  readonly equalOnce: number;
}

/** The results of a model's QuantizeLinear operators: of their zero points' type, or bytes. */
function quantizedPorts(model: CutModel): Port[] {
  return model.nodes
    .filter((node) => node.op === "QuantizeLinear")
    .map((node) => ({ name: node.outputs[0]!, type: model.initializers.get(node.inputs[2] ?? "")?.dataType ?? 2 }));
}

function compared(file: Uint8Array, port: string, inputs: Outputs, want: TypedArray): Pick<OnnxLayer, "steps" | "equal" | "equalOnce"> {
  const graph = readOnnx(file, port);
  const { steps, elements, same } = compare([evaluate(graph, inputs)], [[want]]);
  const once = same === elements ? same : compare(runRoundedOnce(graph, [inputs.map(bytesOf)]), [[want]]).same;
  return { steps, equal: same / elements, equalOnce: once / elements };
}

/**
 * Every part of a QDQ model between quantized tensors, by itself: what it computes from the same integers.
 * @param inputs of the whole model, in its order
 */
export async function compareLayers(peers: string, file: Uint8Array, name: string, inputs: readonly TypedArray[]): Promise<OnnxLayer[]> {
  const model = new CutModel(file, name);
  const ports = quantizedPorts(model);
  const runtime = await openOnnxNamed(peers, model.withOutputs(ports));
  const results = await runtime.run(inputs);
  const known = new Map<string, Port & { readonly data: TypedArray }>();
  model.inputs.forEach((port, i) => known.set(port.name, { ...port, data: inputs[i]! }));
  for (const port of ports) {
    const { data, dims } = results[port.name]!;
    known.set(port.name, { ...port, data, dims });
  }
  return ports.map((port) => {
    const part = model.part(port, known);
    const given = part.inputs.map((input) => known.get(input)!.data);
    return { name: port.name, operators: part.operators, ...compared(part.file, port.name, given, known.get(port.name)!.data) };
  });
}

/** How many layers there are, how many of them are equal, and how far the others lie apart at most. */
export interface LayerCount {
  readonly layers: number;
  readonly equal: number;
  /** Equal where Kinglet, too, rounds once. */
  readonly equalOnce: number;
  readonly steps: number;
}

export const NO_LAYERS: LayerCount = { layers: 0, equal: 0, equalOnce: 0, steps: 0 };

export function countLayers(layers: readonly OnnxLayer[]): LayerCount {
  return layers.map(countOf).reduce(addCounts, NO_LAYERS);
}

const countOf = ({ steps, equal, equalOnce }: OnnxLayer): LayerCount => ({
  layers: 1,
  equal: equal === 1 ? 1 : 0,
  equalOnce: equalOnce === 1 ? 1 : 0,
  steps,
});

export function addCounts(a: LayerCount, b: LayerCount): LayerCount {
  return { layers: a.layers + b.layers, equal: a.equal + b.equal, equalOnce: a.equalOnce + b.equalOnce, steps: Math.max(a.steps, b.steps) };
}
