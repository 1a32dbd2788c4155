import { describe, expect, test } from "vitest";
import { macsOf, parametersOf } from "../driver/index.ts";
import type { Graph } from "../graph/index.ts";
import { trainableParametersOf } from "../ops/index.ts";
import { runPasses } from "../passes/index.ts";
import { autoencoder, dsCnn, gru, lstm, mlp, mobilenetV1, NETWORKS, type NetworkName, resnet8, shufflenetV1 } from "./index.ts";

/** Parameters with scales and offsets of batch normalization, and multiply-accumulates, of the paper's own image size. */
const PUBLISHED: readonly (readonly [name: NetworkName, width: number, parameters: number, macs: number])[] = [
  ["mobilenet_v1", 1, 4_231_976, 568_740_352],
  ["mobilenet_v1", 0.75, 2_585_560, 325_400_448],
  ["mobilenet_v1", 0.5, 1_331_592, 149_497_088],
  ["mobilenet_v1", 0.25, 470_072, 41_030_272],
  ["mobilenet_v2", 1, 3_504_872, 300_774_272],
  ["mobilenet_v2", 1.4, 6_108_776, 582_195_824],
  ["mobilenet_v2", 0.75, 2_636_424, 209_069_792],
  ["mobilenet_v2", 0.5, 1_968_680, 97_131_840],
  ["mobilenet_v2", 0.35, 1_677_128, 59_285_808],
  ["mobilenet_v3_large", 1, 5_483_032, 216_589_760],
  ["mobilenet_v3_small", 1, 2_542_856, 56_510_400],
  ["shufflenet_v2", 0.5, 1_366_792, 40_476_448],
  ["shufflenet_v2", 1, 2_278_604, 144_907_992],
  ["efficientnet_b0", 1, 5_288_548, 385_814_752],
  ["efficientnet_lite0", 1, 4_652_008, 385_187_552],
  ["mcunet_in0", 1, 749_840, 6_364_224],
  ["mcunet_in1", 1, 636_232, 12_790_096],
  ["mcunet_in2", 1, 729_392, 67_287_200],
  ["mcunet_in3", 1, 737_408, 81_785_520],
  ["mcunet_in4", 1, 1_732_640, 125_874_400],
];

/** Multiply-accumulates that are known in millions alone. */
const IN_MILLIONS: readonly (readonly [name: NetworkName, width: number, parameters: number, millions: string])[] = [
  ["shufflenet_v1_g1", 1, 1_530_936, "143.08"],
  ["shufflenet_v1_g2", 1, 1_732_848, "140.84"],
  ["shufflenet_v1_g3", 1, 1_864_728, "137.46"],
  ["shufflenet_v1_g4", 1, 1_967_344, "134.34"],
  ["shufflenet_v1_g8", 1, 2_433_768, "138.37"],
  ["shufflenet_v1_g3", 0.5, 717_324, "37.59"],
  ["shufflenet_v1_g3", 1.5, 3_441_168, "292.44"],
  ["shufflenet_v1_g3", 2, 5_449_776, "524.05"],
  ["shufflenet_v2", 1.5, 3_503_624, "295.76"],
  ["shufflenet_v2", 2, 7_393_996, "583.25"],
  ["efficientnet_b1", 1, 7_794_184, "686.80"],
  ["efficientnet_b2", 1, 9_109_994, "993.56"],
  ["efficientnet_lite1", 1, 5_416_680, "600.2"],
  ["efficientnet_lite2", 1, 6_092_072, "859.7"],
];

describe("the published sizes", () => {
  test.each(PUBLISHED)("%s, width %d", (name, width, parameters, macs) => {
    const graph = NETWORKS[name]({ width });
    expect({ parameters: trainableParametersOf(graph), macs: macsOf(graph) }).toEqual({ parameters, macs });
  });

  test.each(IN_MILLIONS)("%s, width %d", (name, width, parameters, millions) => {
    const graph = NETWORKS[name]({ width });
    const digits = millions.length - millions.indexOf(".") - 1;
    expect({ parameters: trainableParametersOf(graph), millions: (macsOf(graph) / 1e6).toFixed(digits) }).toEqual({ parameters, millions });
  });

  test.each([
    [192, 418_121_728],
    [160, 290_675_200],
    [128, 186_400_768],
  ])("MobileNetV1 at %d", (resolution, macs) => {
    expect(macsOf(mobilenetV1({ resolution }))).toBe(macs);
  });

  test("the full-convolution twin of MobileNetV1 needs 8.56 times as many multiply-accumulates", () => {
    const graph = mobilenetV1({ convolutions: "full" });
    expect({ parameters: trainableParametersOf(graph), macs: macsOf(graph) }).toEqual({ parameters: 29_294_088, macs: 4_867_293_184 });
    expect((macsOf(graph) / 568_740_352).toFixed(2)).toBe("8.56");
  });

  test("MobileNetV1 0.25 at 96 for two classes, as MLPerf Tiny has it", () => {
    const graph = mobilenetV1({ width: 0.25, resolution: 96, classes: 2 });
    expect({ parameters: trainableParametersOf(graph), macs: macsOf(graph) }).toEqual({ parameters: 213_586, macs: 7_489_664 });
  });

  test("the layers of MobileNetV1 share the work as the paper says", () => {
    const graph = mobilenetV1();
    const share = (match: RegExp): string => {
      const macs = graph.nodes.filter(({ name }) => match.test(name)).map((node) => macsOf({ ...graph, nodes: [node] }));
      return ((macs.reduce((sum, n) => sum + n, 0) / macsOf(graph)) * 100).toFixed(2);
    };
    expect([/^pointwise_\d+$/, /^depthwise_\d+$/, /^conv$/, /^logits$/].map(share)).toEqual(["94.86", "3.06", "1.91", "0.18"]);
  });
});

/** With batch normalization folded, as the benchmark's files have them. */
describe("the sizes of MLPerf Tiny's files", () => {
  const folded = (graph: Graph): { parameters: number; macs: number } => {
    const ready = runPasses(graph);
    return { parameters: parametersOf(ready), macs: macsOf(ready) };
  };
  test.each([
    ["keyword spotter", dsCnn, 22_604, 2_656_768],
    ["ResNet-8", resnet8, 77_706, 12_501_632],
    ["autoencoder", autoencoder, 265_864, 264_192],
  ] as const)("%s", (_, make, parameters, macs) => {
    expect(folded(make())).toEqual({ parameters, macs });
  });

  test("visual wake words", () => {
    expect(folded(mobilenetV1({ width: 0.25, resolution: 96, classes: 2 }))).toEqual({ parameters: 210_850, macs: 7_489_664 });
  });
});

describe("small networks", () => {
  test("the digit networks keep below their limits", () => {
    expect(trainableParametersOf(dsCnn({ variant: "digits" }))).toBeLessThan(20_000);
    expect(trainableParametersOf(dsCnn({ variant: "digits_large" }))).toBeLessThan(60_000);
  });

  test("784-128-10 and the student of 784-800-800-10", () => {
    expect(trainableParametersOf(mlp())).toBe(784 * 128 + 128 + 128 * 10 + 10);
    expect(trainableParametersOf(mlp({ hidden: [800, 800] }))).toBe(784 * 800 + 800 + 800 * 800 + 800 + 8000 + 10);
  });

  test("the steps of a GRU share one set of weights", () => {
    const [units, features, classes] = [16, 3, 4];
    const cell = 3 * units * (features + units) + 6 * units;
    expect(trainableParametersOf(gru({ length: 5 }))).toBe(cell + units * classes + classes);
    expect(trainableParametersOf(gru({ length: 9 }))).toBe(cell + units * classes + classes);
    expect(macsOf(gru({ length: 9 }))).toBe(9 * 3 * units * (features + units) + units * classes);
  });

  test("the steps of an LSTM share one set of weights", () => {
    const [units, features, classes] = [16, 3, 4];
    const parameters = 4 * units * (features + units + 1) + units * classes + classes;
    expect([5, 9].map((length) => trainableParametersOf(lstm({ length })))).toEqual([parameters, parameters]);
    expect(macsOf(lstm({ length: 9 }))).toBe(9 * 4 * units * (features + units) + units * classes);
  });

  test("a batch multiplies the work and leaves the parameters", () => {
    const [one, many] = [shufflenetV1({ resolution: 32 }), shufflenetV1({ resolution: 32, batch: 4 })];
    expect(macsOf(many)).toBe(4 * macsOf(one));
    expect(trainableParametersOf(many)).toBe(trainableParametersOf(one));
  });
});
