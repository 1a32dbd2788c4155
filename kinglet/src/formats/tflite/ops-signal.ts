import { elementCount } from "../../base/index.ts";
import type { Attributes } from "../../graph/index.ts";
import { type StreamFramesAttributes, streamState } from "../../ops/index.ts";
import { type OperatorRow, type OperatorRows, row, type Site } from "./site.ts";

/** The spectrum's values lie one after another; only the transforms that Kinglet has are read. */
function rfft(site: Site): Attributes {
  const { stored } = site.input(0);
  if (stored !== "int16" && stored !== "float32")
    site.unsupported(`a Fourier transform of ${stored} is not supported`, "Export the model with a transform of int16 or float32.");
  return { fftLength: site.customInt("fft_length"), flat: true };
}

function filterBank(site: Site): Attributes {
  const channels = site.customInt("num_channels");
  if (channels !== (site.outputShape(1)[0] ?? 0)) site.fail(`${channels} channels do not fit the output`);
  return {
    weights: site.constant(1),
    unweights: site.constant(2),
    frequencyStarts: site.constantVector(3, channels + 1),
    weightStarts: site.constantVector(4, channels + 1),
    widths: site.constantVector(5, channels + 1),
  };
}

function spectralSubtraction(site: Site): Attributes {
  return {
    smoothing: site.customInt("smoothing"),
    oneMinusSmoothing: site.customInt("one_minus_smoothing"),
    alternateSmoothing: site.customInt("alternate_smoothing"),
    alternateOneMinusSmoothing: site.customInt("alternate_one_minus_smoothing"),
    minSignalRemaining: site.customInt("min_signal_remaining"),
    bits: site.customInt("spectral_subtraction_bits"),
    smoothingBits: site.customInt("smoothing_bits"),
    clamping: site.customInt("clamping") !== 0,
  };
}

const subtraction: OperatorRow = {
  ...row("spectralSubtraction", "x", spectralSubtraction),
  state: (site) => ({ dtype: "uint32", shape: site.shape(0) }),
};

function framer(site: Site): StreamFramesAttributes {
  const step = site.positive(site.customInt("frame_step"), "the step of frames");
  const size = site.positive(site.customInt("frame_size"), "the size of a frame");
  return { chunk: step, size, step, prefill: site.customInt("prefill") !== 0, repeatFirst: 0, flat: false };
}

function stacker(site: Site): StreamFramesAttributes {
  const chunk = site.positive(site.customInt("num_channels"), "the number of channels");
  const left = site.customInt("stacker_left_context");
  const right = site.customInt("stacker_right_context");
  const step = chunk * site.positive(site.customInt("stacker_step"), "the step of the stacker");
  return { chunk, size: chunk * (left + right + 1), step, prefill: false, repeatFirst: left, flat: true };
}

/** Frames of a stream: what is left over is kept for each row. */
function streamRow(read: (site: Site) => StreamFramesAttributes): OperatorRow {
  return {
    ...row("streamFrames", "x", (site) => ({ ...read(site) })),
    state: (site) => {
      const shape = site.shape(0);
      return streamState(elementCount(shape.slice(0, -1)), read(site));
    },
  };
}

/** Custom operators of TensorFlow Lite Micro's signal library. */
export const SIGNAL_ROWS: OperatorRows = {
  SignalFramer: streamRow(framer),
  SignalStacker: streamRow(stacker),
  SignalWindow: row("signalWindow", "xx", (site) => ({ shift: site.customInt("shift") })),
  SignalFftAutoScale: row("fftAutoScale", "x"),
  SignalRfft: row("rfft", "x", rfft),
  SignalEnergy: row("spectrumEnergy", "x", (site) => ({ start: site.customInt("start_index"), end: site.customInt("end_index") })),
  SignalFilterBank: row("filterBankAccumulate", "xccccc", filterBank),
  SignalFilterBankSquareRoot: row("filterBankSquareRoot", "xx"),
  SignalFilterBankSpectralSubtraction: subtraction,
  SignalPCAN: row("pcanGain", "xxc", (site) => ({ gains: site.constant(2), snrShift: site.customInt("snr_shift") })),
  SignalFilterBankLog: row("filterBankLog", "x", (site) => ({
    correctionBits: site.customInt("input_correction_bits"),
    outputScale: site.customInt("output_scale"),
  })),
};
