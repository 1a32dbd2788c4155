export { tfliteOperators } from "./catalogue.ts";
export { isTflite } from "./model.ts";
export { readTflite } from "./read.ts";
export { writeTflite } from "./write.ts";
