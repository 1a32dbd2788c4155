import type { Graph } from "../graph/index.ts";
import { autoencoder } from "./autoencoder.ts";
import { cnn1d } from "./cnn1d.ts";
import { dsCnn } from "./ds-cnn.ts";
import { efficientnet } from "./efficientnet.ts";
import { fedAvgCnn } from "./fedavg-cnn.ts";
import { gru } from "./gru.ts";
import type { NetworkOptions } from "./layers.ts";
import { lstm } from "./lstm.ts";
import { mcunet } from "./mcunet.ts";
import { mlp } from "./mlp.ts";
import { mobilenetV1 } from "./mobilenet-v1.ts";
import { mobilenetV2 } from "./mobilenet-v2.ts";
import { mobilenetV3 } from "./mobilenet-v3.ts";
import { resnet8 } from "./resnet8.ts";
import { shufflenetV1 } from "./shufflenet-v1.ts";
import { shufflenetV2 } from "./shufflenet-v2.ts";

/** Deployed networks by name, built when asked for: shapes that papers and other engines report on. */
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

/** Networks to train by name; each takes the options that mean something to it. */
export const NETWORKS = {
  ds_cnn: (options) => dsCnn(options),
  fedavg_cnn: (options) => fedAvgCnn(options),
  ds_cnn_digits: (options) => dsCnn({ ...options, variant: "digits" }),
  ds_cnn_digits_large: (options) => dsCnn({ ...options, variant: "digits_large" }),
  resnet8: (options) => resnet8(options),
  mobilenet_v1: (options) => mobilenetV1(options),
  mobilenet_v1_full: (options) => mobilenetV1({ ...options, convolutions: "full" }),
  mobilenet_v2: (options) => mobilenetV2(options),
  mobilenet_v3_small: (options) => mobilenetV3({ ...options, variant: "small" }),
  mobilenet_v3_large: (options) => mobilenetV3({ ...options, variant: "large" }),
  shufflenet_v1_g1: (options) => shufflenetV1({ ...options, groups: 1 }),
  shufflenet_v1_g2: (options) => shufflenetV1({ ...options, groups: 2 }),
  shufflenet_v1_g3: (options) => shufflenetV1({ ...options, groups: 3 }),
  shufflenet_v1_g4: (options) => shufflenetV1({ ...options, groups: 4 }),
  shufflenet_v1_g8: (options) => shufflenetV1({ ...options, groups: 8 }),
  shufflenet_v2: (options) => shufflenetV2(options),
  efficientnet_b0: (options) => efficientnet({ ...options, variant: "b0" }),
  efficientnet_b1: (options) => efficientnet({ ...options, variant: "b1" }),
  efficientnet_b2: (options) => efficientnet({ ...options, variant: "b2" }),
  efficientnet_lite0: (options) => efficientnet({ ...options, variant: "lite0" }),
  efficientnet_lite1: (options) => efficientnet({ ...options, variant: "lite1" }),
  efficientnet_lite2: (options) => efficientnet({ ...options, variant: "lite2" }),
  mcunet_in0: (options) => mcunet({ ...options, variant: "in0" }),
  mcunet_in1: (options) => mcunet({ ...options, variant: "in1" }),
  mcunet_in2: (options) => mcunet({ ...options, variant: "in2" }),
  mcunet_in3: (options) => mcunet({ ...options, variant: "in3" }),
  mcunet_in4: (options) => mcunet({ ...options, variant: "in4" }),
  autoencoder: (options) => autoencoder(options),
  cnn_1d: (options) => cnn1d(options),
  mlp: (options) => mlp(options),
  gru: (options) => gru(options),
  lstm: (options) => lstm(options),
} as const satisfies Readonly<Record<string, (options?: NetworkOptions) => Graph>>;

export type NetworkName = keyof typeof NETWORKS;
