export { onnxOperators } from "./operators.ts";
export { countName, isOnnx, type OnnxOptions, readOnnx } from "./read.ts";
export { readTensorFile } from "./tensor-file.ts";
export { type OnnxWriteOptions, writeOnnx } from "./write.ts";
