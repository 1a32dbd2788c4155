export * from "./browser.ts";
export { importData, type ImportOptions, type ImportProgress, type ImportResult } from "./import.ts";
export { RULES as LABEL_RULES } from "./naming.ts";
export { loadNormalization, storeNormalization } from "./normalization-file.ts";
export { type OpenOptions, openDataset } from "./open.ts";
export { ACCELERATION_UNITS, type AccelerationUnit, type UnitCount } from "./units.ts";
export type { WindowOptions } from "./windows.ts";
