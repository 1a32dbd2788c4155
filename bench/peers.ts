/** What TensorFlow Lite Micro needs for one model on an emulated Cortex-M4. */
export interface PeerFigures {
  readonly referenceInstructions: number;
  readonly cmsisInstructions: number;
  readonly cmsisArenaBytes: number;
  /** Linked code without the model, with all element types registered as its examples do. */
  readonly cmsisCodeBytes: number;
}

/**
 * Measured with TensorFlow Lite Micro, commit 90b983c2, its reference kernels and CMSIS-NN (core -Os, kernels -O2),
 * built with arm-none-eabi-gcc 12.2 and run on QEMU's mps2-an386, instructions counted with -icount. By model name.
 */
export const PEERS: Readonly<Record<string, PeerFigures>> = {
  kws: { referenceInstructions: 43_040_200, cmsisInstructions: 7_696_960, cmsisArenaBytes: 22_820, cmsisCodeBytes: 83_592 },
  vww96: { referenceInstructions: 100_252_480, cmsisInstructions: 24_101_960, cmsisArenaBytes: 100_708, cmsisCodeBytes: 85_928 },
  resnet8: { referenceInstructions: 107_401_200, cmsisInstructions: 29_862_920, cmsisArenaBytes: 54_996, cmsisCodeBytes: 80_948 },
  ad01: { referenceInstructions: 1_952_280, cmsisInstructions: 582_960, cmsisArenaBytes: 2_580, cmsisCodeBytes: 31_928 },
  strww: { referenceInstructions: 8_284_040, cmsisInstructions: 2_227_120, cmsisArenaBytes: 16_596, cmsisCodeBytes: 80_480 },
  person_detect: { referenceInstructions: 95_660_880, cmsisInstructions: 22_928_440, cmsisArenaBytes: 82_308, cmsisCodeBytes: 70_104 },
  micro_speech: { referenceInstructions: 9_310_512, cmsisInstructions: 1_495_384, cmsisArenaBytes: 6_836, cmsisCodeBytes: 56_988 },
  hello_world: { referenceInstructions: 5_240, cmsisInstructions: 3_528, cmsisArenaBytes: 772, cmsisCodeBytes: 31_928 },
  mcunet_vww: { referenceInstructions: 188_881_000, cmsisInstructions: 48_626_880, cmsisArenaBytes: 219_808, cmsisCodeBytes: 95_072 },
  mcunetv2_large: { referenceInstructions: 2_862_417_480, cmsisInstructions: 861_750_840, cmsisArenaBytes: 2_602_112, cmsisCodeBytes: 103_244 },
  // CMSIS-NN has no float kernels: with float models its build runs the reference kernels.
  mlperf_ad01_fp32: { referenceInstructions: 1_360_200, cmsisInstructions: 1_360_200, cmsisArenaBytes: 4_848, cmsisCodeBytes: 31_928 },
  mlperf_pretrainedResnet: { referenceInstructions: 88_732_920, cmsisInstructions: 88_732_920, cmsisArenaBytes: 199_120, cmsisCodeBytes: 78_580 },
  mlperf_vww_96_float: { referenceInstructions: 80_595_760, cmsisInstructions: 80_595_760, cmsisArenaBytes: 299_968, cmsisCodeBytes: 83_592 },
  hello_world_float: { referenceInstructions: 3_423, cmsisInstructions: 3_423, cmsisArenaBytes: 832, cmsisCodeBytes: 31_928 },
};

/** The largest share of the peer's figure that Kinglet allows itself. */
export interface Limits {
  readonly arena: number;
  readonly code: number;
  readonly instructions: number;
}

/** ResNet-8 keeps three maps alive over its residual connections, so its arena may be larger. */
export function limitsFor(model: string): Limits {
  return { arena: model === "resnet8" ? 0.9 : 0.75, code: 0.2, instructions: 0.5 };
}
