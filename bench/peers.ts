import type { CoreId } from "../kinglet/src/boards/index.ts";

/** TensorFlow Lite Micro with one of its two sets of kernels; TinyEngine's generated code, whole or with its first layers in patches. */
export type PeerEngine = "reference" | "cmsis-nn" | "tinyengine" | "tinyengine patches";

/** What an engine needs for one inference on an emulated core. */
export interface PeerFigures {
  readonly instructions: number;
  /** Linked code without the model. */
  readonly codeBytes: number;
  readonly arenaBytes: number;
}

type Row = readonly [model: string, engine: PeerEngine, core: CoreId, instructions: number, codeBytes: number, arenaBytes: number];

/**
 * Measured with arm-none-eabi-gcc 12.2 on QEMU 7.2 (mps2-an386, mps2-an500, mps3-an547), instructions counted with -icount.
 * TensorFlow Lite Micro 90b983c2: core -Os, kernels -O2, all element types of an operator registered as its examples do;
 * it has no CMSIS-NN kernels for float. TinyEngine 47bb283c: -Ofast, softmax left out; with patches the int8 input image
 * (19,200 bytes for mcunet_vww, 150,528 for mcunetv2_large) lies outside its arena.
 */
const ROWS: readonly Row[] = [
  ["kws", "cmsis-nn", "cortex-m4", 7_696_960, 83_592, 22_820],
  ["kws", "reference", "cortex-m4", 43_040_200, 40_736, 22_772],
  ["kws", "cmsis-nn", "cortex-m55", 1_812_688, 71_972, 27_348],
  ["kws", "reference", "cortex-m55", 41_919_406, 38_588, 22_772],
  ["kws", "cmsis-nn", "cortex-m7", 7_642_720, 81_908, 22_820],
  ["kws", "reference", "cortex-m7", 43_612_520, 38_284, 22_772],
  ["vww96", "cmsis-nn", "cortex-m4", 24_101_960, 85_928, 100_708],
  ["vww96", "reference", "cortex-m4", 100_252_480, 42_976, 100_660],
  ["vww96", "tinyengine", "cortex-m4", 19_711_640, 12_932, 60_736],
  ["vww96", "cmsis-nn", "cortex-m55", 6_558_312, 74_444, 100_772],
  ["vww96", "reference", "cortex-m55", 95_680_219, 40_940, 100_660],
  ["vww96", "cmsis-nn", "cortex-m7", 24_025_560, 84_180, 100_708],
  ["vww96", "reference", "cortex-m7", 101_222_640, 40_460, 100_660],
  ["vww96", "tinyengine", "cortex-m7", 19_720_920, 12_956, 60_736],
  ["resnet8", "cmsis-nn", "cortex-m4", 29_862_920, 80_948, 54_996],
  ["resnet8", "reference", "cortex-m4", 107_401_200, 47_516, 54_340],
  ["resnet8", "tinyengine", "cortex-m4", 25_621_440, 12_436, 125_192],
  ["resnet8", "cmsis-nn", "cortex-m55", 4_911_219, 68_508, 55_028],
  ["resnet8", "reference", "cortex-m55", 97_398_375, 45_868, 54_340],
  ["resnet8", "cmsis-nn", "cortex-m7", 30_025_920, 79_108, 54_996],
  ["resnet8", "reference", "cortex-m7", 108_657_440, 44_716, 54_340],
  ["resnet8", "tinyengine", "cortex-m7", 24_180_040, 11_348, 125_192],
  ["ad01", "cmsis-nn", "cortex-m4", 582_960, 31_928, 2_580],
  ["ad01", "reference", "cortex-m4", 1_952_280, 20_376, 2_260],
  ["ad01", "tinyengine", "cortex-m4", 771_920, 3_008, 3_336],
  ["ad01", "cmsis-nn", "cortex-m55", 150_031, 24_504, 9_268],
  ["ad01", "reference", "cortex-m55", 1_692_688, 17_728, 2_260],
  ["ad01", "cmsis-nn", "cortex-m7", 583_280, 29_432, 2_580],
  ["ad01", "reference", "cortex-m7", 1_948_920, 17_752, 2_260],
  ["ad01", "tinyengine", "cortex-m7", 771_960, 3_016, 3_336],
  ["strww", "cmsis-nn", "cortex-m4", 2_227_120, 80_480, 16_596],
  ["strww", "reference", "cortex-m4", 8_284_040, 38_232, 15_252],
  ["strww", "cmsis-nn", "cortex-m55", 407_438, 68_244, 19_956],
  ["strww", "reference", "cortex-m55", 7_578_000, 36_060, 15_252],
  ["strww", "cmsis-nn", "cortex-m7", 2_188_200, 78_764, 16_596],
  ["strww", "reference", "cortex-m7", 8_499_200, 35_780, 15_252],
  ["person_detect", "cmsis-nn", "cortex-m4", 22_928_440, 70_104, 82_308],
  ["person_detect", "reference", "cortex-m4", 95_660_880, 36_560, 82_292],
  ["person_detect", "tinyengine", "cortex-m4", 18_715_400, 10_440, 74_512],
  ["person_detect", "cmsis-nn", "cortex-m55", 6_508_094, 61_604, 82_356],
  ["person_detect", "reference", "cortex-m55", 91_475_344, 34_220, 82_292],
  ["person_detect", "cmsis-nn", "cortex-m7", 22_715_920, 68_292, 82_308],
  ["person_detect", "reference", "cortex-m7", 96_634_400, 34_108, 82_292],
  ["person_detect", "tinyengine", "cortex-m7", 18_724_680, 10_460, 74_512],
  ["micro_speech", "cmsis-nn", "cortex-m4", 1_495_384, 56_988, 6_836],
  ["micro_speech", "reference", "cortex-m4", 9_310_512, 32_824, 6_788],
  ["micro_speech", "cmsis-nn", "cortex-m55", 1_008_244, 52_180, 7_812],
  ["micro_speech", "reference", "cortex-m55", 9_831_594, 30_564, 6_788],
  ["micro_speech", "cmsis-nn", "cortex-m7", 1_489_472, 54_988, 6_836],
  ["micro_speech", "reference", "cortex-m7", 9_301_400, 30_436, 6_788],
  ["hello_world", "cmsis-nn", "cortex-m4", 3_528, 31_928, 772],
  ["hello_world", "reference", "cortex-m4", 5_240, 20_376, 676],
  ["hello_world", "cmsis-nn", "cortex-m55", 2_159, 24_504, 916],
  ["hello_world", "reference", "cortex-m55", 5_062, 17_728, 676],
  ["hello_world", "cmsis-nn", "cortex-m7", 3_552, 29_432, 772],
  ["hello_world", "reference", "cortex-m7", 5_160, 17_752, 676],
  ["mcunet_vww", "cmsis-nn", "cortex-m4", 48_626_880, 95_072, 219_808],
  ["mcunet_vww", "reference", "cortex-m4", 188_881_000, 51_684, 219_744],
  ["mcunet_vww", "tinyengine", "cortex-m4", 34_747_960, 31_852, 94_000],
  ["mcunet_vww", "tinyengine patches", "cortex-m4", 45_447_160, 35_676, 62_360],
  ["mcunet_vww", "cmsis-nn", "cortex-m55", 11_958_906, 80_624, 219_856],
  ["mcunet_vww", "reference", "cortex-m55", 184_190_500, 50_060, 219_744],
  ["mcunet_vww", "cmsis-nn", "cortex-m7", 47_796_280, 92_768, 219_808],
  ["mcunet_vww", "reference", "cortex-m7", 191_361_880, 48_580, 219_744],
  ["mcunet_vww", "tinyengine", "cortex-m7", 33_454_880, 30_580, 94_000],
  ["mcunet_vww", "tinyengine patches", "cortex-m7", 43_728_600, 34_452, 62_360],
  ["mcunetv2_large", "cmsis-nn", "cortex-m4", 861_750_840, 103_244, 2_602_112],
  ["mcunetv2_large", "reference", "cortex-m4", 2_862_417_480, 58_064, 2_602_048],
  ["mcunetv2_large", "tinyengine patches", "cortex-m4", 564_187_960, 33_580, 444_176],
  ["mcunetv2_large", "cmsis-nn", "cortex-m55", 312_822_500, 88_516, 2_606_144],
  ["mcunetv2_large", "reference", "cortex-m55", 2_721_599_312, 56_712, 2_602_048],
  ["mcunetv2_large", "cmsis-nn", "cortex-m7", 834_695_360, 100_556, 2_602_112],
  ["mcunetv2_large", "reference", "cortex-m7", 2_872_947_000, 54_608, 2_602_048],
  ["mcunetv2_large", "tinyengine patches", "cortex-m7", 549_058_280, 32_352, 444_176],
  ["mlperf_ad01_fp32", "reference", "cortex-m4", 1_360_200, 31_928, 4_848],
  ["hello_world_float", "reference", "cortex-m4", 3_423, 31_928, 832],
  ["mlperf_pretrainedResnet", "reference", "cortex-m4", 88_732_920, 78_580, 199_120],
  ["mlperf_vww_96_float", "reference", "cortex-m4", 80_595_760, 83_592, 299_968],
];

/** One engine's figures, or undefined where it was not measured. */
export function peer(model: string, engine: PeerEngine, core: CoreId = "cortex-m4"): PeerFigures | undefined {
  const row = ROWS.find((one) => one[0] === model && one[1] === engine && one[2] === core);
  return row && { instructions: row[3], codeBytes: row[4], arenaBytes: row[5] };
}
