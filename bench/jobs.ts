import type { CoreId } from "../kinglet/src/boards/index.ts";
import type { ExecuteOptions } from "../kinglet/src/driver/index.ts";
import type { Optimize } from "../kinglet/src/targets/share.ts";
import type { PlanName } from "./results.ts";
import { ARENA_TARGETS } from "./targets.ts";

/** One measurement to make of a model. */
export interface Job {
  readonly core: CoreId;
  readonly goal: Optimize;
  readonly plan: PlanName;
}

/** What each kind of plan asks of the compiler: layer by layer, with fused stages, with the input by rows as well, and computing some again. */
export const PLANS: Readonly<Record<PlanName, ExecuteOptions>> = {
  default: {},
  fused: { fuse: true },
  streamed: { fuse: true, streamInput: true },
  traded: { fuse: true, streamInput: true, trade: 1.2 },
};

const GOALS: readonly Optimize[] = ["size", "balanced", "speed"];
const OTHER_CORES: readonly CoreId[] = ["cortex-m0", "cortex-m3", "cortex-m7", "cortex-m33", "cortex-m55", "rv32"];
/** Two hundred million multiply-accumulates take minutes on an emulated core without the DSP extension. */
const ONE_CORE = new Set(["mcunetv2_large"]);

/** Every measurement of a model: each goal on the Cortex-M4, the smaller memory plans there, speed on the other cores. */
export function jobsFor(model: string): Job[] {
  const goals = GOALS.map((goal): Job => ({ core: "cortex-m4", goal, plan: "default" }));
  const targets = ARENA_TARGETS[model];
  const smaller: PlanName[] = targets === undefined ? [] : ["fused", "streamed", ...(targets.traded === undefined ? [] : ["traded" as const])];
  const main = [...goals, ...smaller.map((plan): Job => ({ core: "cortex-m4", goal: "balanced", plan }))];
  const others = OTHER_CORES.map((core): Job => ({ core, goal: "speed", plan: "default" }));
  return ONE_CORE.has(model) ? main : [...main, ...others];
}
