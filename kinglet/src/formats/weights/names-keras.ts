import type { LoadWeightsOptions } from "./load.ts";
import { EFFICIENTNET_STAGES, inBlock, naming, type Place, placeAt, type Places, placesOf, stageOf, type Variables } from "./naming.ts";

/** Keras 2 calls a depthwise layer's weights otherwise than Keras 3. */
const VARIABLES: Variables = {
  weights: ["sums", ["kernel", "depthwise_kernel"]],
  bias: ["sums", ["bias"]],
  scale: ["norm", ["gamma"]],
  offset: ["norm", ["beta"]],
  mean: ["norm", ["moving_mean"]],
  variance: ["norm", ["moving_variance"]],
};

function inMobileNetV1(layer: string): Place | undefined {
  const [, kind, number] = /^(depthwise|pointwise)_(\d+)$/.exec(layer) ?? [];
  if (kind === undefined) return undefined;
  const name = `conv_${kind === "depthwise" ? "dw" : "pw"}_${number}`;
  return placeAt(name, `${name}_bn`);
}

/** Their blocks count from 0, which the first one's name leaves out. */
function inMobileNetV2(layer: string): Place | undefined {
  const block = inBlock(layer);
  if (block === null) return undefined;
  const name = `${block.number === 1 ? "expanded_conv" : `block_${block.number - 1}`}_${block.part}`;
  return placeAt(name, `${name}_BN`);
}

const GATE: Readonly<Record<string, readonly [old: string, now: string]>> = {
  squeeze: ["squeeze_excite/Conv", "squeeze_excite_conv"],
  excite: ["squeeze_excite/Conv_1", "squeeze_excite_conv_1"],
};

/** Folders in the names of Keras 2, which Keras 3 has no more. */
function inMobileNetV3(layer: string): Place | undefined {
  const block = inBlock(layer);
  if (block === null) return undefined;
  const { number, part } = block;
  const name = number === 1 ? "expanded_conv" : `expanded_conv_${number - 1}`;
  const [old, now] = GATE[part] ?? [part, part];
  return placeAt([`${name}/${old}`, `${name}_${now}`], [`${name}/${old}/BatchNorm`, `${name}_${now}_bn`]);
}

const EFFICIENT_PARTS: Readonly<Record<string, readonly [sums: string, norm?: string]>> = {
  expand: ["expand_conv", "expand_bn"],
  depthwise: ["dwconv", "bn"],
  squeeze: ["se_reduce"],
  excite: ["se_expand"],
  project: ["project_conv", "project_bn"],
};

/** Blocks of a stage have letters. */
function inEfficientNet(stages: readonly number[]): Places {
  return (layer) => {
    const block = inBlock(layer);
    if (block === null || !Object.hasOwn(EFFICIENT_PARTS, block.part)) return undefined;
    const { stage, place } = stageOf(block.number, stages);
    const prefix = `block${stage}${String.fromCharCode(97 + place)}_`;
    const [sums, norm] = EFFICIENT_PARTS[block.part]!;
    return placeAt(`${prefix}${sums}`, norm === undefined ? [] : `${prefix}${norm}`);
  };
}

const MOBILENET_V3 = placesOf(
  {
    conv: placeAt(["Conv", "conv"], ["Conv/BatchNorm", "conv_bn"]),
    last: placeAt(["Conv_1", "conv_1"], ["Conv_1/BatchNorm", "conv_1_bn"]),
    features: placeAt(["Conv_2", "conv_2"]),
    logits: placeAt(["Logits", "logits"]),
  },
  inMobileNetV3,
);

/** The pixels' own normalization stands before the network. */
const PREPROCESSING = /^normalization\//;

const options = (places: Places): LoadWeightsOptions => ({ layout: "keras", names: naming(places, VARIABLES, "/"), ignore: PREPROCESSING });
const efficientNet = (stages: readonly number[]): LoadWeightsOptions =>
  options(
    placesOf({ conv: placeAt("stem_conv", "stem_bn"), last: placeAt("top_conv", "top_bn"), logits: placeAt("predictions") }, inEfficientNet(stages)),
  );

/** How weights of keras.applications load into the zoo's networks, by the zoo's names. */
export const KERAS_APPLICATIONS = {
  mobilenet_v1: options(placesOf({ conv: placeAt("conv1", "conv1_bn"), logits: placeAt("conv_preds") }, inMobileNetV1)),
  mobilenet_v2: options(
    placesOf({ conv: placeAt("Conv1", "bn_Conv1"), last: placeAt("Conv_1", "Conv_1_bn"), logits: placeAt(["predictions", "Logits"]) }, inMobileNetV2),
  ),
  mobilenet_v3_small: options(MOBILENET_V3),
  mobilenet_v3_large: options(MOBILENET_V3),
  efficientnet_b0: efficientNet(EFFICIENTNET_STAGES.efficientnet_b0),
  efficientnet_b1: efficientNet(EFFICIENTNET_STAGES.efficientnet_b1),
  efficientnet_b2: efficientNet(EFFICIENTNET_STAGES.efficientnet_b2),
} as const satisfies Readonly<Record<string, LoadWeightsOptions>>;
