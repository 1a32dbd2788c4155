export { Liveness, valueBytes } from "./liveness.ts";
export { groupNodes, type Recomputed, recomputableBlocks } from "./recompute.ts";
export { type Edge, edgeOf, NO_EDGE, nodesIn, type RowForm, type RowNeed, rowElements, rowFormOf, rowNode } from "./rows.ts";
export { type Act, type Line, type RowRead, type Sequence, sequenceOf } from "./sequence.ts";
export { chooseRecomputed, extraMacsOf, type FusionChoice, type FusionSearch, searchFusion } from "./search.ts";
export type { FusedStage } from "./stage.ts";
