import { elementCount } from "../base/index.ts";
import type { Node } from "../graph/index.ts";
import type { KernelBuilder, KernelInstance } from "../loops/index.ts";
import { accumulatorFor, denseMultipliers, finishAccumulator } from "./accumulate.ts";
import { quantized } from "./conv.ts";
import { hybridInput, isHybrid } from "./hybrid.ts";
import { attributesOf, inputOf, type OpDef, outputOf, refuse, suffixOf, typeAt } from "./op.ts";
import type { Activation } from "./quantization.ts";

export interface DenseAttributes {
  readonly activation: Activation;
  /** True keeps the input's leading dimensions; false flattens them into one. */
  readonly keepDims: boolean;
  /** Quantize float rows for int8 weights over their whole range instead of symmetrically around 0. */
  readonly asymmetricQuantizeInputs?: boolean;
}

/** Each row of floats is quantized by its own range, then multiplied with the int8 weights. */
function hybridLoops(k: KernelBuilder, node: Node): KernelInstance {
  const a = attributesOf<DenseAttributes>(node);
  const [outC, inC] = inputOf(node, 1).shape as [number, number];
  const input = k.input(0, "x");
  const weights = k.input(1, "w");
  const source = hybridInput(k, node, input, inC, a.activation, a.asymmetricQuantizeInputs === true);
  const output = k.output(0, "y");
  const [width, channels] = [k.int("in_c", inC), k.int("out_c", outC)];
  k.for("row", 0, k.int("rows", elementCount(outputOf(node).shape) / outC), (row) => {
    const from = k.let("from", row.mul(width));
    source.begin(from);
    k.for("oc", 0, channels, (oc) => {
      const acc = source.start(oc);
      k.for("ic", 0, width, (ic) => {
        const product = source
          .load(from.add(ic))
          .add(acc.inputOffset)
          .mul(weights.load(oc.mul(width).add(ic)).add(acc.weightOffset));
        acc.variable.set(acc.variable.get().add(product));
      });
      output.store(row.mul(channels).add(oc), finishAccumulator(k, acc, oc));
    });
  });
  return k.finish("fully_connected_f32_s8", "Fully connected layer of floats with int8 weights, one row at a time.");
}

function denseLoops(k: KernelBuilder, node: Node): KernelInstance {
  if (isHybrid(node)) return hybridLoops(k, node);
  const a = attributesOf<DenseAttributes>(node);
  const [x, w, y] = [inputOf(node, 0), inputOf(node, 1), outputOf(node)];
  const input = k.input(0, "x");
  const weights = k.input(1, "w");
  const start = accumulatorFor(k, node, a.activation, denseMultipliers);
  const output = k.output(0, "y");
  const inC = k.int("in_c", w.shape[1]!);
  const outC = k.int("out_c", w.shape[0]!);
  k.for("row", 0, k.int("rows", elementCount(y.shape) / w.shape[0]!), (row) =>
    k.for("oc", 0, outC, (oc) => {
      const acc = start(oc);
      const from = k.let("from", row.mul(inC));
      const tap = k.let("tap", oc.mul(inC));
      k.for("ic", 0, inC, (ic) => {
        const left = input.load(from.add(ic));
        const right = weights.load(tap.add(ic));
        const product = acc.type === "f32" ? left.mul(right) : left.add(acc.inputOffset).mul(right.add(acc.weightOffset)).to(acc.type);
        acc.variable.set(acc.variable.get().add(product));
      });
      output.store(row.mul(outC).add(oc), finishAccumulator(k, acc, oc));
    }),
  );
  return k.finish(`fully_connected_${suffixOf(x.dtype)}`, "Fully connected layer, one output element at a time.");
}

export const fullyConnected: OpDef = {
  name: "fullyConnected",
  infer(inputs, attributes) {
    const a = attributesOf<DenseAttributes>({ attributes });
    const [x, w] = [typeAt("fullyConnected", inputs, 0), typeAt("fullyConnected", inputs, 1, 2)];
    const [outC, inC] = w.shape as [number, number];
    const total = elementCount(x.shape);
    if (total % inC !== 0) refuse("fullyConnected", `an input of ${total} elements cannot be cut into rows of ${inC}`);
    if (a.keepDims && x.shape[x.shape.length - 1] !== inC) refuse("fullyConnected", `the input's last dimension must be ${inC}`);
    const bias = inputs[2];
    if (bias && elementCount(bias.shape) !== outC) refuse("fullyConnected", `the bias must have ${outC} elements`);
    return [{ dtype: x.dtype, shape: a.keepDims ? [...x.shape.slice(0, -1), outC] : [total / inC, outC] }];
  },
  loops: denseLoops,
  parameters: [1, 2],
  macs: (node) => elementCount(outputOf(node).shape) * inputOf(node, 1).shape[1]!,
  cases: [
    {
      name: "int8",
      attributes: { activation: "relu", keepDims: false },
      inputs: [
        { dtype: "int8", shape: [2, 13], quantization: quantized(0.05, -3) },
        { dtype: "int8", shape: [7, 13], quantization: quantized(0.02, 0), constant: true },
        { dtype: "int32", shape: [7], constant: true, low: -2000, high: 2000 },
      ],
      outputs: [{ dtype: "int8", shape: [2, 7], quantization: quantized(0.1, -5) }],
    },
    {
      name: "uint8 without bias",
      attributes: { activation: "none", keepDims: true },
      inputs: [
        { dtype: "uint8", shape: [2, 3, 8], quantization: quantized(0.05, 113) },
        { dtype: "uint8", shape: [4, 8], quantization: quantized(0.02, 120), constant: true },
        null,
      ],
      outputs: [{ dtype: "uint8", shape: [2, 3, 4], quantization: quantized(0.1, 128) }],
    },
    {
      name: "16x8",
      attributes: { activation: "none", keepDims: false },
      inputs: [
        { dtype: "int16", shape: [1, 9], quantization: quantized(0.001, 0) },
        { dtype: "int8", shape: [5, 9], quantization: quantized(0.02, 0), constant: true },
        { dtype: "int64", shape: [5], constant: true, low: -2000, high: 2000 },
      ],
      outputs: [{ dtype: "int16", shape: [1, 5], quantization: quantized(0.002, 0) }],
    },
    {
      name: "float, int8 weights",
      attributes: { activation: "relu", keepDims: false },
      inputs: [
        { dtype: "float32", shape: [3, 6] },
        { dtype: "int8", shape: [4, 6], quantization: quantized(0.02, 0), constant: true },
        { dtype: "float32", shape: [4], constant: true },
      ],
      outputs: [{ dtype: "float32", shape: [3, 4] }],
    },
    {
      name: "float quantized over its range, int8 weights",
      attributes: { activation: "none", keepDims: false, asymmetricQuantizeInputs: true },
      inputs: [
        { dtype: "float32", shape: [3, 6], low: -1, high: 3 },
        { dtype: "int8", shape: [4, 6], quantization: quantized(0.02, 0), constant: true },
        null,
      ],
      outputs: [{ dtype: "float32", shape: [3, 4] }],
    },
    {
      name: "float",
      attributes: { activation: "relu6", keepDims: false },
      inputs: [
        { dtype: "float32", shape: [2, 6] },
        { dtype: "float32", shape: [3, 6], constant: true },
        { dtype: "float32", shape: [3], constant: true },
      ],
      outputs: [{ dtype: "float32", shape: [2, 3] }],
    },
  ],
};
