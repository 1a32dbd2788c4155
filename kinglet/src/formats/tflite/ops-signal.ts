import { elementCount } from "../../base/index.ts";
import type { Attributes, Node } from "../../graph/index.ts";
import { attributesOf, type StreamFramesAttributes, streamState } from "../../ops/index.ts";
import { type ConstantInput, customRow, type OperatorRow, type OperatorRows } from "./row.ts";
import { TENSOR_TYPES } from "./schema.ts";
import type { Site } from "./site.ts";

/** Tables of these operators have 16 bits in the file. */
function shorts(values: readonly number[]): ConstantInput {
  return { dtype: "int16", shape: [values.length], data: Int16Array.from(values) };
}

/** The spectrum's values lie one after another; only the transforms that Kinglet has are read. */
function checkTransform(site: Site): Attributes {
  const { stored } = site.input(0);
  if (stored !== "int16" && stored !== "float32")
    site.unsupported(`a Fourier transform of ${stored} is not supported`, "Export the model with a transform of int16 or float32.");
  return { flat: true };
}

function writeTransform(node: Node): { options: Readonly<Record<string, number>> } | null {
  return node.attributes["flat"] === true ? { options: { T: TENSOR_TYPES.indexOf(node.inputs[0]!.dtype) } } : null;
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

const FILTER_BANK_TABLES = ["weights", "unweights", "frequencyStarts", "weightStarts", "widths"] as const;

const subtraction: OperatorRow = customRow("spectralSubtraction", "x", {
  names: {
    smoothing: "smoothing",
    oneMinusSmoothing: "one_minus_smoothing",
    alternateSmoothing: "alternate_smoothing",
    alternateOneMinusSmoothing: "alternate_one_minus_smoothing",
    minSignalRemaining: "min_signal_remaining",
    bits: "spectral_subtraction_bits",
    smoothingBits: "smoothing_bits",
  },
  read: (site) => ({ clamping: site.customInt("clamping") !== 0 }),
  write: (node) => ({ options: { clamping: Number(node.attributes["clamping"]), num_channels: node.inputs[0]!.shape.at(-1)! } }),
  state: (site) => ({ dtype: "uint32", shape: site.shape(0) }),
});

function framer(site: Pick<Site, "customInt" | "positive">): StreamFramesAttributes {
  const step = site.positive(site.customInt("frame_step"), "the step of frames");
  const size = site.positive(site.customInt("frame_size"), "the size of a frame");
  return { chunk: step, size, step, prefill: site.customInt("prefill") !== 0, repeatFirst: 0, flat: false };
}

function stacker(site: Pick<Site, "customInt" | "positive">): StreamFramesAttributes {
  const chunk = site.positive(site.customInt("num_channels"), "the number of channels");
  const left = site.customInt("stacker_left_context");
  const right = site.customInt("stacker_right_context");
  const step = chunk * site.positive(site.customInt("stacker_step"), "the step of the stacker");
  return { chunk, size: chunk * (left + right + 1), step, prefill: false, repeatFirst: left, flat: true };
}

function writeFramer({ size, step, prefill }: StreamFramesAttributes): Readonly<Record<string, number>> {
  return { frame_size: size, frame_step: step, prefill: Number(prefill) };
}

function writeStacker({ chunk, size, step, repeatFirst }: StreamFramesAttributes): Readonly<Record<string, number>> {
  return {
    num_channels: chunk,
    stacker_left_context: repeatFirst,
    stacker_right_context: size / chunk - 1 - repeatFirst,
    stacker_step: step / chunk,
  };
}

/** Frames of a stream: what is left over is kept for each row. Only attributes that reading gives back are written. */
function streamRow(
  read: (site: Pick<Site, "customInt" | "positive">) => StreamFramesAttributes,
  write: (a: StreamFramesAttributes) => Readonly<Record<string, number>>,
): OperatorRow {
  return customRow("streamFrames", "x", {
    read: (site) => ({ ...read(site) }),
    write(node) {
      const a = attributesOf<StreamFramesAttributes>(node);
      const options = write(a);
      const again = read({ customInt: (name) => options[name]!, positive: (value) => value });
      return Object.entries(again).every(([name, value]) => node.attributes[name] === value) ? { options } : null;
    },
    state: (site) => {
      const shape = site.shape(0);
      return streamState(elementCount(shape.slice(0, -1)), read(site));
    },
  });
}

/** Custom operators of TensorFlow Lite Micro's signal library. */
export const SIGNAL_ROWS: OperatorRows = {
  SignalFramer: streamRow(framer, writeFramer),
  SignalStacker: streamRow(stacker, writeStacker),
  SignalWindow: customRow("signalWindow", "xx", { names: { shift: "shift" } }),
  SignalFftAutoScale: customRow("fftAutoScale", "x"),
  SignalRfft: customRow("rfft", "x", { names: { fftLength: "fft_length" }, read: checkTransform, write: writeTransform }),
  SignalEnergy: customRow("spectrumEnergy", "x", { names: { start: "start_index", end: "end_index" } }),
  SignalFilterBank: customRow("filterBankAccumulate", "xccccc", {
    read: filterBank,
    write: (node) => ({
      options: { num_channels: node.outputs[0]!.shape[0]! },
      constants: FILTER_BANK_TABLES.map((name) => shorts(node.attributes[name] as readonly number[])),
    }),
  }),
  SignalFilterBankSquareRoot: customRow("filterBankSquareRoot", "xx"),
  SignalFilterBankSpectralSubtraction: subtraction,
  SignalPCAN: customRow("pcanGain", "xxc", {
    names: { snrShift: "snr_shift" },
    read: (site) => ({ gains: site.constant(2) }),
    write: (node) => ({ constants: [shorts(node.attributes["gains"] as readonly number[])] }),
  }),
  SignalFilterBankLog: customRow("filterBankLog", "x", {
    names: { correctionBits: "input_correction_bits", outputScale: "output_scale" },
  }),
};
