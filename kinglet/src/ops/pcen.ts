import type { Node } from "../graph/index.ts";
import { constant, type KernelBuilder, type KernelInstance } from "../loops/index.ts";
import { makeCase, typed } from "./elementwise.ts";
import { powFloat } from "./float-math.ts";
import { attributesOf, badNode, inputOf, type OpDef, refuse, typeAt, unsupportedTypes } from "./op.ts";

export interface PcenAttributes {
  /** Weight of the newest energy in the running mean, above 0 and at most 1. */
  readonly smoothing: number;
  readonly gain: number;
  readonly bias: number;
  readonly power: number;
  readonly epsilon: number;
}

function pcenLoops(k: KernelBuilder, node: Node): KernelInstance {
  const a = attributesOf<PcenAttributes>(node);
  const x = inputOf(node, 0);
  if (node.inputs.some((value) => value !== null && value.dtype !== "float32")) throw unsupportedTypes(node);
  if (node.inputs[1] && node.inputs[1].variable !== true) throw badNode(node, "needs a variable as its running mean");
  const [rows, count, bands] = x.shape as [number, number, number];
  const input = k.input(0, "energies");
  const state = k.hasInput(1) ? k.input(1, "running_mean", true) : undefined;
  const output = k.output(0, "y");
  const [keep, take] = [k.float("keep", 1 - a.smoothing), k.float("smoothing", a.smoothing)];
  const [frames, width] = [k.int("frames", count), k.int("bands", bands)];
  k.for("row", 0, k.int("rows", rows), (row) =>
    k.for("band", 0, width, (band) => {
      const cell = row.mul(width).add(band);
      const mean = k.variable("mean", state === undefined ? constant(1, "f32") : state.load(cell));
      k.for("frame", 0, frames, (frame) => {
        const at = k.let("at", row.mul(frames).add(frame).mul(width).add(band));
        const energy = k.let("energy", input.load(at));
        mean.set(mean.get().mul(keep).add(energy.mul(take)));
        const gain = k.call(powFloat, mean.get().add(k.float("epsilon", a.epsilon)), k.float("exponent", -a.gain));
        const root = k.call(powFloat, energy.mul(gain).add(k.float("bias", a.bias)), k.float("power", a.power));
        output.store(at, root.sub(k.float("floor", a.bias ** a.power)));
      });
      if (state !== undefined) state.store(cell, mean.get());
    }),
  );
  return k.finish("pcen_f32", "Energies against their running mean, compressed.");
}

/**
 * Per-channel energy normalization (Wang et al., "Trainable frontend for robust and far-field keyword spotting", ICASSP
 * 2017): energies [n, frames, bands] → (energy / (epsilon + mean)^gain + bias)^power − bias^power, where the mean runs along
 * the frames. It starts at 1, as librosa's does; with a variable [n, bands] it goes on from run to run.
 */
export const pcen: OpDef = {
  name: "pcen",
  infer(inputs, attributes) {
    const x = typeAt("pcen", inputs, 0, 3);
    const a = attributesOf<PcenAttributes>({ attributes });
    if (!(a.smoothing > 0 && a.smoothing <= 1)) refuse("pcen", `the smoothing ${a.smoothing} does not lie between 0 and 1`);
    if (!(a.epsilon > 0 && a.bias >= 0 && a.power > 0 && a.gain >= 0))
      refuse("pcen", "gain and bias must not be negative, epsilon and power positive");
    const state = inputs[1];
    if (state && (state.shape.length !== 2 || state.shape[0] !== x.shape[0] || state.shape[1] !== x.shape[2]))
      refuse("pcen", `the running mean must be [${x.shape[0]},${x.shape[2]}], not [${state.shape.join(",")}]`);
    return [{ dtype: x.dtype, shape: x.shape }];
  },
  loops: pcenLoops,
  cases: [false, true].map((streaming) =>
    makeCase(
      streaming ? "goes on from run to run" : "starts anew",
      [
        { ...typed("float32", [2, 6, 5]), low: 0, high: 4 },
        ...(streaming ? [{ ...typed("float32", [2, 5]), low: 0.1, high: 2, variable: true }] : []),
      ],
      typed("float32", [2, 6, 5]),
      { smoothing: 0.025, gain: 0.98, bias: 2, power: 0.5, epsilon: 1e-6 },
    ),
  ),
};
