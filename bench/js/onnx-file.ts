import { bytesOf, elementCount, type TypedArray } from "../../kinglet/src/base/index.ts";
import type { Graph, Node, Value } from "../../kinglet/src/graph/index.ts";
import { bytes, type Encoded, int, message, string } from "./protobuf.ts";

const TYPES: Readonly<Record<string, number>> = { float32: 1, int8: 3, int32: 6, int64: 7 };
const [INT, INTS] = [2, 7];

/** ONNX puts channels before rows and columns. */
function channelsFirst(shape: readonly number[]): readonly number[] {
  return shape.length === 4 ? [shape[0]!, shape[3]!, shape[1]!, shape[2]!] : shape;
}

/** Elements of a four-dimensional constant in another order of its dimensions. */
export function permute(data: TypedArray, shape: readonly number[], order: readonly number[]): TypedArray {
  const strides = shape.map((_, i) => elementCount(shape.slice(i + 1)));
  const result = data.slice() as TypedArray;
  const [a, b, c, d] = order.map((dim) => ({ size: shape[dim]!, stride: strides[dim]! }));
  let at = 0;
  for (let i = 0; i < a!.size; i++)
    for (let j = 0; j < b!.size; j++)
      for (let k = 0; k < c!.size; k++)
        for (let l = 0; l < d!.size; l++) result[at++] = data[i * a!.stride + j * b!.stride + k * c!.stride + l * d!.stride]!;
  return result;
}

function valueInfo(field: number, value: Value): Encoded {
  const dims = channelsFirst(value.shape).map((dim) => message(1, int(1, dim)));
  return message(field, string(1, `v${value.id}`), message(2, message(1, int(1, TYPES[value.dtype]!), message(2, ...dims))));
}

/**
 * A graph of image networks' operators as an ONNX file (operator set 13), so that ONNX Runtime can do the same work with the same
 * weights: float as it is, int8 with QuantizeLinear and DequantizeLinear around every operator, which is the form that
 * the runtime has fast kernels for. Inputs are [n, c, h, w].
 */
class OnnxWriter {
  private readonly nodes: Encoded[] = [];
  private readonly initializers: Encoded[] = [];
  private names = 0;

  private fresh(): string {
    return `t${this.names++}`;
  }

  private constant(dtype: string, shape: readonly number[], data: TypedArray): string {
    const name = this.fresh();
    const fields = [...shape.map((dim) => int(1, dim)), int(2, TYPES[dtype]!), string(8, name), bytes(9, bytesOf(data))];
    this.initializers.push(message(5, ...fields));
    return name;
  }

  private emit(op: string, inputs: readonly string[], output: string, attributes: Readonly<Record<string, number | readonly number[]>> = {}): string {
    const encoded = Object.entries(attributes).map(([name, value]) =>
      typeof value === "number"
        ? message(5, string(1, name), int(3, value), int(20, INT))
        : message(5, string(1, name), ...value.map((one) => int(8, one)), int(20, INTS)),
    );
    this.nodes.push(message(1, ...inputs.map((name) => string(1, name)), string(2, output), string(4, op), ...encoded));
    return output;
  }

  private scaleNames(value: Value, dtype: string): [string, string] {
    const { scales, zeroPoints } = value.quantization!;
    const shape = scales.length === 1 ? [] : [scales.length];
    const points = dtype === "int8" ? Int8Array.from(zeroPoints) : Int32Array.from(zeroPoints);
    return [this.constant("float32", shape, Float32Array.from(scales)), this.constant(dtype, shape, points)];
  }

  private dequantized(name: string, value: Value): string {
    if (value.dtype === "float32") return name;
    const axis = value.quantization!.scales.length === 1 ? {} : { axis: 0 };
    return this.emit("DequantizeLinear", [name, ...this.scaleNames(value, value.dtype)], this.fresh(), axis);
  }

  private input(node: Node, index: number): string {
    return this.dequantized(`v${node.inputs[index]!.id}`, node.inputs[index]!);
  }

  private weights(node: Node, index: number, order?: readonly number[]): string {
    const value = node.inputs[index]!;
    const data = order === undefined ? value.data! : permute(value.data!, value.shape, order);
    const shape = order === undefined ? value.shape : order.map((dim) => value.shape[dim]!);
    return this.dequantized(this.constant(value.dtype, shape, data), value);
  }

  /** Writes what an operator gives into its value: through its activation, or through rounding, which clips as the activation does. */
  private finish(node: Node, result: string): void {
    const y = node.outputs[0]!;
    const activation = node.attributes["activation"] ?? "none";
    if (y.dtype === "float32") this.activate(result, `v${y.id}`, String(activation));
    else {
      const [scale, zeroPoint] = [y.quantization!.scales[0]!, y.quantization!.zeroPoints[0]!];
      const covered = activation === "none" || (zeroPoint === -128 && (activation === "relu" || Math.abs(255 * scale - 6) < 1e-3));
      if (!covered) throw new Error(`the range of ${y.name} is not that of its ${activation}`);
      this.emit("QuantizeLinear", [result, ...this.scaleNames(y, "int8")], `v${y.id}`);
    }
  }

  private activate(result: string, output: string, activation: string): void {
    if (activation === "none") this.emit("Identity", [result], output);
    else if (activation === "relu") this.emit("Relu", [result], output);
    else {
      const bound = (x: number): string => this.constant("float32", [], Float32Array.of(x));
      this.emit("Clip", [result, bound(0), bound(6)], output);
    }
  }

  private convolution(node: Node): void {
    const number = (name: string): number => Number(node.attributes[name] ?? 1);
    const depthwise = node.op === "depthwiseConv2d";
    const w = node.inputs[1]!;
    const attributes = {
      group: depthwise ? node.inputs[0]!.shape[3]! : 1,
      strides: [number("strideH"), number("strideW")],
      dilations: [number("dilationH"), number("dilationW")],
      pads: [number("padTop"), number("padLeft"), number("padBottom"), number("padRight")],
      kernel_shape: [w.shape[1]!, w.shape[2]!],
    };
    const filters = this.weights(node, 1, depthwise ? [3, 0, 1, 2] : [0, 3, 1, 2]);
    this.finish(node, this.emit("Conv", [this.input(node, 0), filters, this.weights(node, 2)], this.fresh(), attributes));
  }

  private fullyConnected(node: Node): void {
    const [x, w] = [node.inputs[0]!, node.inputs[1]!];
    const rows = this.constant("int64", [2], BigInt64Array.of(-1n, BigInt(w.shape[1]!)));
    const flat = x.shape.length === 2 ? `v${x.id}` : this.emit("Reshape", [`v${x.id}`, rows], this.fresh());
    const inputs = [this.dequantized(flat, x), this.weights(node, 1), this.weights(node, 2)];
    this.finish(node, this.emit("Gemm", inputs, this.fresh(), { transB: 1 }));
  }

  private reshape(node: Node): void {
    const shape = BigInt64Array.from(channelsFirst(node.outputs[0]!.shape), BigInt);
    this.emit("Reshape", [`v${node.inputs[0]!.id}`, this.constant("int64", [shape.length], shape)], `v${node.outputs[0]!.id}`);
  }

  private write(node: Node): void {
    switch (node.op) {
      case "conv2d":
      case "depthwiseConv2d":
        return this.convolution(node);
      case "fullyConnected":
        return this.fullyConnected(node);
      case "reshape":
        return this.reshape(node);
      case "averagePool2d":
        return this.finish(node, this.emit("GlobalAveragePool", [this.input(node, 0)], this.fresh()));
      case "add":
        return this.finish(node, this.emit("Add", [this.input(node, 0), this.input(node, 1)], this.fresh()));
      case "softmax":
        return this.finish(node, this.emit("Softmax", [this.input(node, 0)], this.fresh(), { axis: -1 }));
      default:
        throw new Error(`no ONNX form of ${node.op}`);
    }
  }

  file(graph: Graph): Uint8Array {
    for (const node of graph.nodes) this.write(node);
    const ports = [...graph.inputs.map((value) => valueInfo(11, value)), ...graph.outputs.map((value) => valueInfo(12, value))];
    const body = message(7, ...this.nodes, string(2, graph.name), ...this.initializers, ...ports);
    return Buffer.concat([int(1, 8), message(8, string(1, ""), int(2, 13)), body]);
  }
}

export function onnxFile(graph: Graph): Uint8Array {
  return new OnnxWriter().file(graph);
}
