export { isOnnx, type OnnxModel, type OnnxOptions, readOnnx, readOnnxModel } from "./read.ts";
export { readTensorFile } from "./tensor-file.ts";
