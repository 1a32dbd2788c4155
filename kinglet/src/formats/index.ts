export { crc32, readKinglet, writeKinglet } from "./kinglet/index.ts";
export { formatFor, type ModelFormat, readModel } from "./models.ts";
export { type NpyArray, readNpy, writeNpy } from "./npy.ts";
export { type OnnxOptions, type OnnxWriteOptions, readOnnx, readTensorFile, writeOnnx } from "./onnx/index.ts";
export { readTflite, writeTflite } from "./tflite/index.ts";
