import type { Graph } from "../graph/index.ts";
import { mobilenetV1 } from "./mobilenet-v1.ts";
import { mobilenetV2 } from "./mobilenet-v2.ts";

/** Reference networks by name, built when asked for: shapes that papers and other engines report on. */
export const ZOO: Readonly<Record<string, () => Graph>> = {
  "mobilenet_v1_0.25_128": () => mobilenetV1({ width: 0.25, resolution: 128, precision: "int8" }),
  "mobilenet_v1_0.25_128_float": () => mobilenetV1({ width: 0.25, resolution: 128, precision: "float32" }),
  "mobilenet_v1_1.0_224": () => mobilenetV1({ width: 1, resolution: 224, precision: "int8" }),
  "mobilenet_v1_1.0_224_float": () => mobilenetV1({ width: 1, resolution: 224, precision: "float32" }),
  "mobilenet_v2_0.35_144": () => mobilenetV2({ width: 0.35, resolution: 144, precision: "int8" }),
  "mobilenet_v2_0.35_144_chain": () => mobilenetV2({ width: 0.35, resolution: 144, precision: "int8", classes: 10, variant: "chain" }),
  "mobilenet_v2_1.0_224": () => mobilenetV2({ width: 1, resolution: 224, precision: "int8" }),
  "mobilenet_v2_1.0_224_float": () => mobilenetV2({ width: 1, resolution: 224, precision: "float32" }),
};
