import { expect, test } from "vitest";
import type { DType } from "../../base/index.ts";
import type { ValueType } from "../../graph/index.ts";
import { operatorVersion } from "./versions.ts";

const type = (dtype: DType, shape: number[] = [1, 4, 4, 2], scales: number[] = dtype.startsWith("int") ? [0.5] : []): ValueType => ({
  dtype,
  shape,
  ...(scales.length > 0 && { quantization: { scales, zeroPoints: scales.map(() => 0), axis: 0 } }),
});
const [f32, s8, s16] = [type("float32"), type("int8"), type("int16")];
const weights = (dtype: DType, scales?: number[]): ValueType => type(dtype, [2, 3, 3, 2], scales);

// The versions are those that TensorFlow Lite's own converter gives operators of these types.
test.each<[string, (ValueType | null)[], ValueType, Record<string, unknown>, number]>([
  ["CONV_2D", [f32, weights("float32")], f32, {}, 1],
  ["CONV_2D", [s8, weights("int8", [1, 2])], s8, {}, 3],
  ["CONV_2D", [s8, type("int8", [2, 3, 3, 1])], s8, {}, 6],
  ["CONV_2D", [f32, weights("int8", [1, 2])], f32, {}, 5],
  ["CONV_2D", [f32, weights("int8", [1])], f32, {}, 2],
  ["DEPTHWISE_CONV_2D", [f32, weights("float32")], f32, { dilationH: 1, dilationW: 1 }, 1],
  ["DEPTHWISE_CONV_2D", [f32, weights("float32")], f32, { dilationH: 2, dilationW: 1 }, 2],
  ["DEPTHWISE_CONV_2D", [s8, weights("int8")], s8, { dilationH: 1, dilationW: 1 }, 3],
  ["FULLY_CONNECTED", [f32, f32, f32], f32, {}, 1],
  ["FULLY_CONNECTED", [s8, s8, type("int32")], s8, {}, 4],
  ["FULLY_CONNECTED", [s8, s8], s8, {}, 6],
  ["FULLY_CONNECTED", [f32, s8, f32], f32, { asymmetricQuantizeInputs: true }, 9],
  ["ADD", [s8, s8], s8, {}, 2],
  ["ADD", [s16, s16], s16, {}, 3],
  ["SUB", [type("float32", [1, 1, 1, 1, 2]), type("float32", [2])], type("float32", [1, 1, 1, 1, 2]), {}, 3],
  ["STRIDED_SLICE", [f32], f32, { newAxisMask: 1 }, 6],
  ["STRIDED_SLICE", [s8], s8, { newAxisMask: 0 }, 2],
  ["RESIZE_BILINEAR", [f32], f32, { halfPixelCenters: true }, 3],
  ["RESIZE_NEAREST_NEIGHBOR", [s8], s8, {}, 2],
  ["SPLIT", [type("int32", []), s8], s8, {}, 2],
  ["BROADCAST_TO", [f32], f32, {}, 2],
  ["TRANSPOSE_CONV", [type("int32", [4]), f32, f32, f32], f32, { activation: "none" }, 3],
  ["RESHAPE", [s8], s8, {}, 1],
  ["SignalWindow", [s16], s16, {}, 1],
])("%s has the version of its types and options (%#)", (name, inputs, output, options, version) => {
  expect(operatorVersion(name, { inputs, outputs: [output], options })).toBe(version);
});
