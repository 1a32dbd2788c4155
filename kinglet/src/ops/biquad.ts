import { elementCount } from "../base/index.ts";
import type { Node } from "../graph/index.ts";
import { constant, type KernelBuilder, type KernelInstance } from "../loops/index.ts";
import { makeCase, typed } from "./elementwise.ts";
import { attributesOf, badNode, inputOf, type OpDef, refuse, typeAt, unsupportedTypes } from "./op.ts";

export interface BiquadAttributes {
  /** Five numbers a section: b0, b1, b2, a1, a2, of (b0 + b1/z + b2/z²) / (1 + a1/z + a2/z²). */
  readonly sections: readonly number[];
}

const NAME = "biquad";
const PER_SECTION = 5;

function biquadLoops(k: KernelBuilder, node: Node): KernelInstance {
  const { sections } = attributesOf<BiquadAttributes>(node);
  if (node.inputs.some((value) => value !== null && value.dtype !== "float32")) throw unsupportedTypes(node);
  if (node.inputs[1] && node.inputs[1].variable !== true) throw badNode(node, "needs a variable as its state");
  const [rows, time, channels] = inputOf(node, 0).shape as [number, number, number];
  const count = sections.length / PER_SECTION;
  const x = k.input(0, "x");
  const kept = k.hasInput(1) ? k.input(1, "state", true) : undefined;
  const table = k.constant("coefficients", "f32", Float32Array.from(sections));
  const y = k.output(0, "y");
  const memory = kept ?? k.scratch("memory", "f32", 2 * count);
  const [samples, width, perChannel] = [k.int("samples", time), k.int("channels", channels), k.int("memory_length", 2 * count)];
  k.for("row", 0, k.int("rows", rows), (row) =>
    k.for("channel", 0, width, (channel) => {
      const own = k.let("own", kept === undefined ? row.mul(0) : row.mul(width).add(channel).mul(perChannel));
      if (kept === undefined) k.for("m", 0, perChannel, (m) => memory.store(m, constant(0, "f32")));
      k.for("t", 0, samples, (t) => {
        const at = k.let("at", row.mul(samples).add(t).mul(width).add(channel));
        const value = k.variable("value", x.load(at));
        k.for("section", 0, k.int("sections", count), (section) => {
          const [input, first] = [k.let("input", value.get()), k.let("first", own.add(section.mul(2)))];
          const c = k.let("c", section.mul(PER_SECTION));
          const [b0, b1, b2, a1, a2] = [0, 1, 2, 3, 4].map((i) => table.load(c.add(i))) as [typeof c, typeof c, typeof c, typeof c, typeof c];
          const output = k.let("output", b0.mul(input).add(memory.load(first)));
          memory.store(
            first,
            b1
              .mul(input)
              .sub(a1.mul(output))
              .add(memory.load(first.add(1))),
          );
          memory.store(first.add(1), b2.mul(input).sub(a2.mul(output)));
          value.set(output);
        });
        y.store(at, value.get());
      });
    }),
  );
  return k.finish("biquad_f32", "Second-order filters one after another along time (direct form II transposed).");
}

/**
 * A cascade of second-order sections along the time of [n, time, channels]. It starts at rest; with a variable [n,
 * channels, sections, 2] it goes on from run to run.
 */
export const biquad: OpDef = {
  name: NAME,
  infer(inputs, attributes) {
    const x = typeAt(NAME, inputs, 0, 3);
    const { sections } = attributesOf<BiquadAttributes>({ attributes });
    if (sections.length === 0 || sections.length % PER_SECTION !== 0 || !sections.every(Number.isFinite))
      refuse(NAME, `${sections.length} coefficients are not five a section`);
    const wanted = 2 * (sections.length / PER_SECTION) * x.shape[0]! * x.shape[2]!;
    if (inputs[1] && elementCount(inputs[1].shape) !== wanted)
      refuse(NAME, `the state must have ${wanted} elements, not ${elementCount(inputs[1].shape)}`);
    return [{ dtype: x.dtype, shape: x.shape }];
  },
  loops: biquadLoops,
  macs: (node) => elementCount(inputOf(node, 0).shape) * attributesOf<BiquadAttributes>(node).sections.length,
  cases: [false, true].map((streaming) =>
    makeCase(
      streaming ? "goes on from run to run" : "starts at rest",
      [typed("float32", [2, 30, 3]), ...(streaming ? [{ ...typed("float32", [2, 3, 2, 2]), variable: true }] : [])],
      typed("float32", [2, 30, 3]),
      { sections: [0.2, 0.4, 0.2, -0.5, 0.3, 0.9, -1.8, 0.9, -1.7, 0.8] },
    ),
  ),
};
