export type { FaultKind } from "./arena.ts";
export { checkPlan, type PlanCheck, type PlanFailure } from "./check.ts";
export { orderSteps, peakLiveBytes } from "./order.ts";
export { placeBuffers } from "./place.ts";
export { type BlockKind, planTimeline, type Timeline, type TimelineBlock, type TimelineStage, type TimelineStep } from "./timeline.ts";
export type { Distance, Lifetime, Overlap, Plan, PlanOptions } from "./types.ts";
export type { BufferKind } from "./usage.ts";
