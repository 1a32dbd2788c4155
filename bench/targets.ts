import type { CoreId } from "../kinglet/src/boards/index.ts";
import type { PeerEngine } from "./peers.ts";

/** Most bytes of arena, int8, by how the network is run; layers in fused stages, the input whole or arriving by rows. */
export interface ArenaTargets {
  readonly layers?: number;
  readonly fused?: number;
  /** With a streamed input and no multiply-accumulate done twice. */
  readonly streamed?: number;
  /** The same with up to 1.2 times the multiply-accumulates. */
  readonly traded?: number;
}

export const ARENA_TARGETS: Readonly<Record<string, ArenaTargets>> = {
  kws: { layers: 8_300, fused: 5_600 },
  vww96: { layers: 37_600, fused: 30_500, streamed: 11_000 },
  resnet8: { layers: 34_200, fused: 18_000 },
  ad01: { layers: 768, fused: 768 },
  mcunet_vww: { layers: 80_000, streamed: 17_700, traded: 13_300 },
  mcunetv2_large: { streamed: 250_000 },
  "mobilenet_v2_0.35_144_chain": { layers: 160_000, streamed: 21_000, traded: 15_300 },
};

/** Most instructions of one inference on the Cortex-M4, `--optimize speed`. */
export const INSTRUCTION_TARGETS: Readonly<Record<string, number>> = {
  kws: 2_800_000,
  vww96: 7_600_000,
  resnet8: 11_500_000,
  ad01: 300_000,
  mcunet_vww: 13_500_000,
};

/** Fewest cycles that a closed engine was published with on a Cortex-M4 (MLPerf Tiny, v1.1 to v1.3). */
export const CLOSED_CYCLES: Readonly<Record<string, number>> = { kws: 5_180_000, vww96: 10_670_000, resnet8: 19_800_000, ad01: 486_000 };

/** Largest share of another engine's instructions on other cores, `--optimize speed`, and the models it is asked of. */
export interface CoreTarget {
  readonly core: CoreId;
  readonly share: number;
  readonly engine: PeerEngine;
  /** Where the engine was counted; the smallest cores are held against the Cortex-M4's count. */
  readonly counted: CoreId;
  readonly models: readonly string[];
}

const TINY = ["kws", "vww96", "resnet8", "ad01"];
export const CORE_TARGETS: readonly CoreTarget[] = [
  { core: "cortex-m55", share: 0.6, engine: "cmsis-nn", counted: "cortex-m55", models: ["kws", "vww96", "resnet8"] },
  { core: "cortex-m0", share: 0.4, engine: "reference", counted: "cortex-m4", models: TINY },
  { core: "rv32", share: 0.3, engine: "reference", counted: "cortex-m4", models: TINY },
];

/** Largest share of the code of TensorFlow Lite Micro with CMSIS-NN, by goal. */
export const CODE_TARGETS = { balanced: 0.15, speed: 0.3 } as const;

/** Longest compile in milliseconds. */
export function compileTargetMs(model: string): number {
  return model === "mcunetv2_large" ? 20_000 : 5_000;
}
