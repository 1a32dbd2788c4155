export type { DomainOptions } from "./domains.ts";
export { CALIBRATION_METHODS, type CalibrationMethod, Histogram, needsHistogram, RangeObserver } from "./histogram.ts";
export { prepareForQuantization, type QuantizedModel, type QuantizedNode, quantizeGraph, type QuantizeOptions } from "./quantize.ts";
export { type Domain, type IntegerDomain, obstacle, ruleOf } from "./rules.ts";
export type { Range } from "./scale.ts";
export { quantizeDynamic, roundToFloat16 } from "./weight-only.ts";
export type { LayerOverride, WeightOptions } from "./weights.ts";
