export * from "./base/index.ts";
export { BOARDS, type Board, boardById, boardsThatFit, toolReport } from "./boards/index.ts";
export {
  type Artefact,
  type ArtefactOptions,
  type Compiled,
  type CompileOptions,
  compileGraph,
  type Execution,
  execute,
  type Inspection,
  inspectGraph,
  makeArtefact,
  type Sample,
  type Verification,
  type Via,
  verifyGraph,
  writeOutputFolder,
} from "./driver/index.ts";
export { type NpyArray, readModel, readNpy, writeNpy } from "./formats/index.ts";
export {
  checkGraph,
  type Graph,
  GraphBuilder,
  joinGraphs,
  type Node,
  printGraph,
  type Quantization,
  type Value,
  type ValueType,
} from "./graph/index.ts";
export { renderReport, type ReportData, reportData } from "./report/index.ts";
export * from "./signal/index.ts";
