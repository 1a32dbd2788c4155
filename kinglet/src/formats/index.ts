export * from "./browser.ts";
export { formatFor, type ModelFormat, readModel } from "./models.ts";
export { countName, onnxOperators, type OnnxOptions, type OnnxWriteOptions, readOnnx, readTensorFile, writeOnnx } from "./onnx/index.ts";
export { readTflite, tfliteOperators, writeTflite } from "./tflite/index.ts";
export {
  isWeights,
  KERAS_APPLICATIONS,
  loadWeights,
  type LoadWeightsOptions,
  readMlpackage,
  readWeights,
  TORCHVISION,
  type WeightLayout,
  type WeightNames,
  type Weights,
  type WeightTensor,
} from "./weights/index.ts";
