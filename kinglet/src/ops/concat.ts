import { elementCount, stridesOf } from "../base/index.ts";
import type { Node, Value, ValueType } from "../graph/index.ts";
import type { Buffer, KernelBuilder, KernelInstance } from "../loops/index.ts";
import { MOVED_TYPES, movedType, moveBlock, offsetOf } from "./move.ts";
import { attributesOf, inputOf, type OpCase, type OpDef, outputOf, refuse, suffixOf, typeAt, unsupportedTypes } from "./op.ts";
import { quantizationOf, rangeOfDType } from "./quantization.ts";
import { roundAwayFloat } from "./round.ts";

export interface AxisAttributes {
  readonly axis: number;
}

function joinedShape(op: string, inputs: readonly (ValueType | null)[], axis: number): number[] {
  const first = typeAt(op, inputs, 0);
  if (!(axis >= 0 && axis < first.shape.length)) refuse(op, `there is no axis ${axis} in [${first.shape.join(",")}]`);
  const shape = [...first.shape];
  shape[axis] = 0;
  inputs.forEach((_, i) => {
    const type = typeAt(op, inputs, i, first.shape.length);
    if (type.dtype !== first.dtype || type.shape.some((size, d) => d !== axis && size !== first.shape[d]))
      refuse(op, `input ${i} ${type.dtype}[${type.shape.join(",")}] does not fit to ${first.dtype}[${first.shape.join(",")}]`);
    shape[axis]! += type.shape[axis]!;
  });
  return shape;
}

/** Moves a part to or from its place along the axis of the whole. */
function movePart(
  k: KernelBuilder,
  name: string,
  part: Value,
  whole: Value,
  axis: number,
  offset: number,
  buffers: { part: Buffer; whole: Buffer; join: boolean },
): void {
  const strides = stridesOf(whole.shape);
  const inWhole = {
    buffer: buffers.whole,
    base: offsetOf(
      whole.shape.map((_, d) => (d === axis ? offset : 0)),
      strides,
    ),
    strides,
  };
  const alone = { buffer: buffers.part, base: 0, strides: stridesOf(part.shape) };
  if (buffers.join) moveBlock(k, name, part.shape, inWhole, alone);
  else moveBlock(k, name, part.shape, alone, inWhole);
}

function sameScale(node: Node, x: Value, y: Value): boolean {
  if (x.dtype !== "int8" && x.dtype !== "uint8" && x.dtype !== "int16") return true;
  // Plain numbers without a scale are moved as they are.
  if (x.quantization === undefined && y.quantization === undefined) return true;
  const [a, b] = [quantizationOf(node, x), quantizationOf(node, y)];
  return a.scale === b.scale && a.zeroPoint === b.zeroPoint;
}

/**
 * An input of another scale: round(x · s + bias) + zero point in single precision, as TensorFlow Lite's
 * ConcatenationWithScaling does.
 */
function rescaledPart(
  k: KernelBuilder,
  node: Node,
  x: Value,
  y: Value,
  axis: number,
  offset: number,
  input: Buffer,
  output: Buffer,
  name: string,
): void {
  const [from, to] = [quantizationOf(node, x), quantizationOf(node, y)];
  const { low, high } = rangeOfDType(y.dtype);
  const inner = elementCount(x.shape.slice(axis));
  const wide = elementCount(y.shape.slice(axis));
  const scale = Math.fround(Math.fround(from.scale) * Math.fround(1 / Math.fround(to.scale)));
  k.for(`${name}outer`, 0, k.int(`${name}outer`, elementCount(x.shape.slice(0, axis))), (o) =>
    k.for(`${name}i`, 0, k.int(`${name}inner`, inner), (i) => {
      const value = input
        .load(o.mul(inner).add(i))
        .to("f32")
        .mul(k.float(`${name}scale`, scale))
        .add(k.float(`${name}bias`, Math.fround(-from.zeroPoint * scale)));
      const away = k.call(roundAwayFloat, value);
      const start = offset * elementCount(y.shape.slice(axis + 1));
      output.store(o.mul(wide).add(start).add(i), k.let(`${name}real`, away).to("i32").add(to.zeroPoint).clamp(low, high));
    }),
  );
}

function concatLoops(k: KernelBuilder, node: Node): KernelInstance {
  const { axis } = attributesOf<AxisAttributes>(node);
  const y = outputOf(node);
  const inputs = node.inputs.map((_, i) => k.input(i, `x${i}`));
  const output = k.output(0, "y");
  let offset = 0;
  inputs.forEach((input, i) => {
    const x = inputOf(node, i);
    if (sameScale(node, x, y)) movePart(k, `p${i}_`, x, y, axis, offset, { part: input, whole: output, join: true });
    else if (x.dtype === "int16") throw unsupportedTypes(node);
    else rescaledPart(k, node, x, y, axis, offset, input, output, `p${i}_`);
    offset += x.shape[axis]!;
  });
  return k.finish(`concat${inputs.length}_${suffixOf(y.dtype)}`, "Joins tensors along an axis.");
}

function splitLoops(k: KernelBuilder, node: Node): KernelInstance {
  const { axis } = attributesOf<AxisAttributes>(node);
  const x = inputOf(node, 0);
  const input = k.input(0, "x");
  let offset = 0;
  node.outputs.forEach((y, i) => {
    movePart(k, `p${i}_`, y, x, axis, offset, { part: k.output(i, `y${i}`), whole: input, join: false });
    offset += y.shape[axis]!;
  });
  return k.finish(`split${node.outputs.length}_${suffixOf(x.dtype)}`, "Cuts a tensor along an axis.");
}

/** A tensor as one layer of a stack: shape with a dimension of 1 at `axis`. */
function asLayer(value: Value, axis: number): Value {
  return { ...value, shape: [...value.shape.slice(0, axis), 1, ...value.shape.slice(axis)] };
}

function packLoops(k: KernelBuilder, node: Node): KernelInstance {
  const { axis } = attributesOf<AxisAttributes>(node);
  const inputs = node.inputs.map((_, i) => k.input(i, `x${i}`));
  const output = k.output(0, "y");
  inputs.forEach((input, i) =>
    movePart(k, `p${i}_`, asLayer(inputOf(node, i), axis), outputOf(node), axis, i, { part: input, whole: output, join: true }),
  );
  return k.finish(`pack${inputs.length}_${suffixOf(outputOf(node).dtype)}`, "Stacks tensors along a new axis.");
}

function unpackLoops(k: KernelBuilder, node: Node): KernelInstance {
  const { axis } = attributesOf<AxisAttributes>(node);
  const x = inputOf(node, 0);
  const input = k.input(0, "x");
  node.outputs.forEach((y, i) => movePart(k, `p${i}_`, asLayer(y, axis), x, axis, i, { part: k.output(i, `y${i}`), whole: input, join: false }));
  return k.finish(`unpack${node.outputs.length}_${suffixOf(x.dtype)}`, "Cuts a tensor into the layers of an axis.");
}

const joinCases: OpCase[] = MOVED_TYPES.map((dtype) => ({
  name: dtype,
  attributes: { axis: 1, activation: "none" },
  inputs: [movedType(dtype, [2, 3, 2]), movedType(dtype, [2, 1, 2]), movedType(dtype, [2, 2, 2])],
  outputs: [movedType(dtype, [2, 6, 2])],
}));
const scaled = (zeroPoint: number, scale: number): ValueType => ({
  dtype: "uint8",
  shape: [2, 5],
  quantization: { scales: [scale], zeroPoints: [zeroPoint], axis: 0 },
});

export const concatenation: OpDef = {
  name: "concatenation",
  infer: (inputs, attributes) => [
    {
      dtype: typeAt("concatenation", inputs, 0).dtype,
      shape: joinedShape("concatenation", inputs, attributesOf<AxisAttributes>({ attributes }).axis),
    },
  ],
  loops: concatLoops,
  cases: [
    ...joinCases,
    {
      name: "uint8 of other scales",
      attributes: { axis: 1, activation: "none" },
      inputs: [scaled(3, 0.1), scaled(120, 0.07)],
      outputs: [{ ...scaled(5, 0.1), shape: [2, 10] }],
    },
  ],
};

export const split: OpDef = {
  name: "split",
  infer(inputs, attributes) {
    const x = typeAt("split", inputs, 0);
    const { axis, sizes } = attributesOf<AxisAttributes & { sizes: readonly number[] }>({ attributes });
    if (sizes.reduce((sum, size) => sum + size, 0) !== x.shape[axis])
      refuse("split", `pieces of ${sizes.join(", ")} do not make up ${x.shape[axis]} elements`);
    return sizes.map((size) => ({ dtype: x.dtype, shape: x.shape.map((dim, d) => (d === axis ? size : dim)) }));
  },
  loops: splitLoops,
  cases: MOVED_TYPES.map((dtype) => ({
    name: dtype,
    attributes: { axis: 1, sizes: [1, 3] },
    inputs: [movedType(dtype, [2, 4, 3])],
    outputs: [movedType(dtype, [2, 1, 3]), movedType(dtype, [2, 3, 3])],
  })),
};

export const pack: OpDef = {
  name: "pack",
  infer(inputs, attributes) {
    const x = typeAt("pack", inputs, 0);
    const { axis } = attributesOf<AxisAttributes>({ attributes });
    if (inputs.some((type) => type?.shape.join() !== x.shape.join() || type.dtype !== x.dtype)) refuse("pack", "all inputs must have one type");
    return [{ dtype: x.dtype, shape: [...x.shape.slice(0, axis), inputs.length, ...x.shape.slice(axis)] }];
  },
  loops: packLoops,
  cases: MOVED_TYPES.map((dtype) => ({
    name: dtype,
    attributes: { axis: 1 },
    inputs: [movedType(dtype, [2, 3]), movedType(dtype, [2, 3])],
    outputs: [movedType(dtype, [2, 2, 3])],
  })),
};

export const unpack: OpDef = {
  name: "unpack",
  infer(inputs, attributes) {
    const x = typeAt("unpack", inputs, 0);
    const { axis } = attributesOf<AxisAttributes>({ attributes });
    if (!(axis >= 0 && axis < x.shape.length)) refuse("unpack", `there is no axis ${axis}`);
    return Array.from({ length: x.shape[axis]! }, () => ({ dtype: x.dtype, shape: x.shape.filter((_, d) => d !== axis) }));
  },
  loops: unpackLoops,
  cases: MOVED_TYPES.map((dtype) => ({
    name: dtype,
    attributes: { axis: 1 },
    inputs: [movedType(dtype, [2, 2, 3])],
    outputs: [movedType(dtype, [2, 3]), movedType(dtype, [2, 3])],
  })),
};
