export { type ReportExtras, type ReportRun, reportData } from "./data.ts";
export { count, plain, plural, wrapText } from "./format.ts";
export { type FederationReport, renderFederation } from "./federation.ts";
export { renderReport } from "./html.ts";
export { halfBlocks, sparkline, type TerminalPicture } from "./picture.ts";
export { type Column, formatTable } from "./table.ts";
export { boardsText, checksText, figuresText, layersText, memoryText, networkText, reportText } from "./terminal.ts";
export type { ReportBlock, ReportBoard, ReportCheck, ReportData, ReportLayer, ReportPort, ReportTimeline } from "./types.ts";
export { renderTraining } from "./training.ts";
export type { Footprint } from "../driver/index.ts";
export {
  type CurvePoint,
  type Decibels,
  type JudgedNetwork,
  type LayerNoise,
  type NetworkStep,
  type ShownMistake,
  STEP_NAMES,
} from "./training-types.ts";
