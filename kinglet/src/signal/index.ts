export { STATISTICS, type Statistic } from "../ops/index.ts";
export { type ButterworthOptions, butterworth, type FilterOptions, filterTime } from "./filter.ts";
export { type CropOptions, cropImage, grey, type NormaliseOptions, normalise, type ResizeOptions, resizeImage } from "./image.ts";
export {
  type DecibelOptions,
  type LogMelOptions,
  logMel,
  type MelBank,
  type MelOptions,
  melSpectrogram,
  melWeights,
  type MfccOptions,
  mfcc,
  mfccsFromLogMel,
  mfe,
  type PcenOptions,
  pcen,
  powerToDb,
} from "./mel.ts";
export { type MotionOptions, motionFeatures, type SpectralOptions, spectralFeatures } from "./motion.ts";
export { type FrameOptions, type SpectrogramOptions, spectrogram, stft } from "./spectrum.ts";
export { hammingWindow, hannWindow } from "./windows.ts";
