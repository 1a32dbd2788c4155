import type { LoadWeightsOptions } from "./load.ts";
import { EFFICIENTNET_STAGES, inBlock, naming, type Place, placeAt, type Places, placesOf, stageOf, type Variables } from "./naming.ts";

const VARIABLES: Variables = {
  weights: ["sums", ["weight"]],
  bias: ["sums", ["bias"]],
  scale: ["norm", ["weight"]],
  offset: ["norm", ["bias"]],
  mean: ["norm", ["running_mean"]],
  variance: ["norm", ["running_var"]],
};

/** A convolution and its normalization, neighbours in a list of modules. */
const pair = (list: string, first = 0): Place => placeAt(`${list}.${first}`, `${list}.${first + 1}`);

/** A block of pairs in a list: widen (not in all blocks), filter, gate (not in all), narrow. */
function inList(list: string, part: string, widens: boolean): Place | undefined {
  const filter = widens ? 1 : 0;
  switch (part) {
    case "expand":
      return pair(`${list}.0`);
    case "depthwise":
      return pair(`${list}.${filter}`);
    case "squeeze":
      return placeAt(`${list}.${filter + 1}.fc1`);
    case "excite":
      return placeAt(`${list}.${filter + 1}.fc2`);
    case "project": {
      // The later place exists only in blocks with a gate.
      const places = [`${list}.${filter + 2}`, `${list}.${filter + 1}`].map((place) => pair(place));
      return placeAt(
        places.flatMap(({ sums }) => sums),
        places.flatMap(({ norm }) => norm),
      );
    }
    default:
      return undefined;
  }
}

/** MobileNetV2 narrows without an activation, and its last two modules are not a pair of their own. */
function inMobileNetV2(layer: string): Place | undefined {
  const { number, part } = inBlock(layer) ?? { number: 0, part: "" };
  const [list, widens] = [`features.${number}.conv`, number > 1];
  return part === "project" ? pair(list, widens ? 2 : 1) : inList(list, part, widens);
}

function inMobileNetV3(layer: string): Place | undefined {
  const { number, part } = inBlock(layer) ?? { number: 0, part: "" };
  return inList(`features.${number}.block`, part, number > 1);
}

function inEfficientNet(stages: readonly number[]): Places {
  return (layer) => {
    const { number, part } = inBlock(layer) ?? { number: 1, part: "" };
    const { stage, place } = stageOf(number, stages);
    return inList(`features.${stage}.${place}.block`, part, stage > 1);
  };
}

const SHUFFLE: Readonly<Record<string, readonly [branch: string, first: number]>> = {
  left_depthwise: ["branch1", 0],
  left: ["branch1", 2],
  in: ["branch2", 0],
  depthwise: ["branch2", 3],
  out: ["branch2", 5],
};

function inShuffleNet(layer: string): Place | undefined {
  const [, stage, unit, part = ""] = /^stage_(\d+)_unit_(\d+)_(.+)$/.exec(layer) ?? [];
  if (!Object.hasOwn(SHUFFLE, part)) return undefined;
  const [branch, first] = SHUFFLE[part]!;
  return pair(`stage${stage}.${Number(unit) - 1}.${branch}`, first);
}

const mobileNetV3 = (last: number): Places =>
  placesOf(
    { conv: pair("features.0"), last: pair(`features.${last}`), features: placeAt("classifier.0"), logits: placeAt("classifier.3") },
    inMobileNetV3,
  );
const efficientNet = (stages: readonly number[]): Places =>
  placesOf({ conv: pair("features.0"), last: pair("features.8"), logits: placeAt("classifier.1") }, inEfficientNet(stages));

const options = (places: Places, epsilon?: number): LoadWeightsOptions => ({
  layout: "pytorch",
  names: naming(places, VARIABLES, "."),
  ...(epsilon === undefined ? {} : { epsilon }),
});

/** How weights of torchvision's networks load into the zoo's, by the zoo's names. */
export const TORCHVISION = {
  mobilenet_v2: options(placesOf({ conv: pair("features.0"), last: pair("features.18"), logits: placeAt("classifier.1") }, inMobileNetV2)),
  mobilenet_v3_small: options(mobileNetV3(12), 1e-3),
  mobilenet_v3_large: options(mobileNetV3(16), 1e-3),
  efficientnet_b0: options(efficientNet(EFFICIENTNET_STAGES.efficientnet_b0)),
  efficientnet_b1: options(efficientNet(EFFICIENTNET_STAGES.efficientnet_b1)),
  efficientnet_b2: options(efficientNet(EFFICIENTNET_STAGES.efficientnet_b2)),
  shufflenet_v2: options(placesOf({ conv: pair("conv1"), last: pair("conv5"), logits: placeAt("fc") }, inShuffleNet)),
} as const satisfies Readonly<Record<string, LoadWeightsOptions>>;
