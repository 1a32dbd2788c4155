import { describe, expect, test } from "vitest";
import type { Graph } from "../../graph/index.ts";
import { efficientnet, mobilenetV1, mobilenetV2, mobilenetV3, shufflenetV2 } from "../../zoo/index.ts";
import { kerasEfficientNet, kerasMobileNetV1, kerasMobileNetV2, kerasMobileNetV3 } from "./keras-testing.ts";
import { loadWeights, type LoadWeightsOptions } from "./load.ts";
import { KERAS_APPLICATIONS } from "./names-keras.ts";
import { TORCHVISION } from "./names-torchvision.ts";
import { LARGE, type Listing, SMALL, torchEfficientNet, torchMobileNetV2, torchMobileNetV3, torchShuffleNetV2 } from "./torchvision-testing.ts";

/** The numbers of parameters are those that the frameworks publish; the pixels' normalization of EfficientNet adds 6. */
const CASES: readonly (readonly [name: string, parameters: number, listing: () => Listing, network: () => Graph, options: LoadWeightsOptions])[] = [
  ["torchvision's MobileNetV2", 3_504_872, torchMobileNetV2, () => mobilenetV2(), TORCHVISION.mobilenet_v2],
  ["torchvision's MobileNetV3 small", 2_542_856, () => torchMobileNetV3(SMALL, 1024), () => mobilenetV3(), TORCHVISION.mobilenet_v3_small],
  [
    "torchvision's MobileNetV3 large",
    5_483_032,
    () => torchMobileNetV3(LARGE, 1280),
    () => mobilenetV3({ variant: "large" }),
    TORCHVISION.mobilenet_v3_large,
  ],
  ["torchvision's EfficientNet-B0", 5_288_548, () => torchEfficientNet(1, 1), () => efficientnet(), TORCHVISION.efficientnet_b0],
  ["torchvision's EfficientNet-B1", 7_794_184, () => torchEfficientNet(1, 1.1), () => efficientnet({ variant: "b1" }), TORCHVISION.efficientnet_b1],
  ["torchvision's EfficientNet-B2", 9_109_994, () => torchEfficientNet(1.1, 1.2), () => efficientnet({ variant: "b2" }), TORCHVISION.efficientnet_b2],
  ["torchvision's ShuffleNetV2", 2_278_604, () => torchShuffleNetV2([116, 232, 464, 1024]), () => shufflenetV2(), TORCHVISION.shufflenet_v2],
  ["Keras' MobileNet", 4_231_976, kerasMobileNetV1, () => mobilenetV1(), KERAS_APPLICATIONS.mobilenet_v1],
  ["Keras' MobileNetV2", 3_504_872, kerasMobileNetV2, () => mobilenetV2(), KERAS_APPLICATIONS.mobilenet_v2],
  ["Keras 2's MobileNetV3 small", 2_542_856, () => kerasMobileNetV3(SMALL, 1024, 2), () => mobilenetV3(), KERAS_APPLICATIONS.mobilenet_v3_small],
  [
    "Keras 3's MobileNetV3 large",
    5_483_032,
    () => kerasMobileNetV3(LARGE, 1280, 3),
    () => mobilenetV3({ variant: "large" }),
    KERAS_APPLICATIONS.mobilenet_v3_large,
  ],
  ["Keras' EfficientNet-B0", 5_288_548 + 6, () => kerasEfficientNet(1, 1), () => efficientnet(), KERAS_APPLICATIONS.efficientnet_b0],
  [
    "Keras' EfficientNet-B2",
    9_109_994 + 6,
    () => kerasEfficientNet(1.1, 1.2),
    () => efficientnet({ variant: "b2" }),
    KERAS_APPLICATIONS.efficientnet_b2,
  ],
];

describe.each(CASES)("%s", (_, parameters, listing, network, options) => {
  const { tensors, layout, parameters: listed } = listing();
  const weights = { format: "a list", layout, tensors };

  test("is written down as it is published", () => expect(listed).toBe(parameters));

  test("has every tensor in one place of ours by names, which is its place by order", () => {
    const byNames = loadWeights(network(), { ...weights, inOrder: false, tensors: [...tensors].reverse() }, options);
    const { names: _names, ...rest } = options;
    const byOrder = loadWeights(network(), { ...weights, inOrder: true }, rest);
    // Each tensor is full of its own number.
    const numbers = (graph: Graph): unknown[] => graph.values.map(({ name, data }) => [name, data?.length, data?.[0]]);
    expect(numbers(byNames)).toEqual(numbers(byOrder));
    const found = new Set(byNames.values.map(({ data }) => data?.[0]));
    const lost = tensors.filter(({ data }) => !found.has(data![0]!)).map(({ name }) => name);
    expect(lost.filter((name) => !/num_batches_tracked$|^normalization/.test(name))).toEqual([]);
  });
});
