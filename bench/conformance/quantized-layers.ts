import type { TypedArray } from "../../kinglet/src/base/index.ts";
import { readOnnx } from "../../kinglet/src/formats/index.ts";
import { evaluate } from "../../kinglet/src/targets/js/index.ts";
import { openOnnxNodes } from "../js/engines.mjs";
import { CutModel, type Port } from "./onnx-cut.ts";

/** How one quantized tensor of a model lies in Kinglet beside ONNX Runtime, both computing it from the runtime's own tensors before it. */
export interface OnnxLayer {
  readonly name: string;
  readonly operators: readonly string[];
  readonly steps: number;
  /** Share of elements that are equal. */
  readonly equal: number;
}

/** The type of a QuantizeLinear's results: its zero point's, or bytes. */
function quantizedPorts(model: CutModel): Port[] {
  return model.nodes
    .filter((node) => node.op === "QuantizeLinear")
    .map((node) => ({ name: node.outputs[0]!, type: model.initializers.get(node.inputs[2] ?? "")?.dataType ?? 2 }));
}

function compare(name: string, operators: readonly string[], got: TypedArray, want: TypedArray): OnnxLayer {
  let [steps, equal] = [0, 0];
  for (let i = 0; i < want.length; i++) {
    const difference = Math.abs(Number(got[i]) - Number(want[i]));
    steps = Math.max(steps, difference);
    if (difference === 0) equal++;
  }
  return { name, operators, steps, equal: equal / want.length };
}

/**
 * Every part of a QDQ model between quantized tensors, by itself: what it computes from the same integers.
 * @param inputs of the whole model, in its order
 */
export async function compareLayers(peers: string, file: Uint8Array, name: string, inputs: readonly TypedArray[]): Promise<OnnxLayer[]> {
  const model = new CutModel(file, name);
  const ports = quantizedPorts(model);
  const runtime = await openOnnxNodes(peers, model.withOutputs(ports));
  const tensors = await runtime.run(inputs);
  const known = new Map(ports.map((port) => [port.name, { ...port, dims: tensors[port.name]!.dims }]));
  const layers: OnnxLayer[] = [];
  for (const port of ports) {
    const part = model.part(port, known);
    if (part === null) continue;
    const graph = readOnnx(part.file, port.name);
    const [got] = evaluate(
      graph,
      part.inputs.map((input) => tensors[input]!.data),
    );
    layers.push(compare(port.name, part.operators, got!, tensors[port.name]!.data));
  }
  return layers;
}
