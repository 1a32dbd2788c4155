import { elementCount } from "../base/index.ts";
import type { Node, Value } from "../graph/index.ts";
import { type Buffer, constant, type Expr, f32, i32, type KernelBuilder, type KernelInstance } from "../loops/index.ts";
import { needTypes, unsignedCase } from "./audio-frontend.ts";
import { makeCase, oneType, typed } from "./elementwise.ts";
import { unsignedWide } from "./fixed.ts";
import { attributesOf, badNode, inputOf, type OpDef, refuse, typeAt } from "./op.ts";

/** A matrix [bins, bands] whose columns are 0 outside a run of rows: the runs, and what lies in them one after another. */
interface Bands {
  readonly starts: Uint16Array;
  readonly widths: Uint16Array;
  readonly weights: Float32Array;
}

function bandsOf(node: Node, matrix: Value): Bands {
  const [bins, bands] = matrix.shape as [number, number];
  const { data } = matrix;
  if (data === undefined) throw badNode(node, "needs a constant as its filters");
  const runs = Array.from({ length: bands }, (_, band) => {
    const column = Array.from({ length: bins }, (_row, bin) => Number(data[bin * bands + band]));
    const first = column.findIndex((w) => w !== 0);
    const start = Math.max(0, first);
    return { start, weights: first < 0 ? [] : column.slice(start, column.findLastIndex((w) => w !== 0) + 1) };
  });
  return {
    starts: Uint16Array.from(runs, (run) => run.start),
    widths: Uint16Array.from(runs, (run) => run.weights.length),
    weights: Float32Array.from(runs.flatMap((run) => run.weights)),
  };
}

/** Products that are not with a 0. */
export function bandProducts(node: Node, matrix: Value): number {
  return bandsOf(node, matrix).weights.length;
}

/** Sums of `bins` bins under each filter. Tables are asked for once in a kernel, so make one of these before the loops. */
export class BandWriter {
  private readonly k: KernelBuilder;
  private readonly starts: Buffer;
  private readonly widths: Buffer;
  private readonly weights: Buffer;
  private readonly bands: number;

  constructor(k: KernelBuilder, node: Node, matrix: Value) {
    const bands = bandsOf(node, matrix);
    this.k = k;
    this.bands = matrix.shape[1]!;
    this.starts = k.constant("band_starts", "u16", bands.starts);
    this.widths = k.constant("band_widths", "u16", bands.widths);
    // A table has at least one entry, also where all filters are 0.
    this.weights = k.constant("band_weights", "f32", bands.weights.length === 0 ? new Float32Array(1) : bands.weights);
  }

  write(from: Buffer, base: Expr, to: Buffer, first: Expr): void {
    const { k } = this;
    const weight = k.variable("weight", i32(0));
    k.for("band", 0, k.int("bands", this.bands), (band) => {
      const sum = k.variable("band_sum", f32(0));
      const start = k.let("start", base.add(this.starts.load(band)));
      const [width, at] = [k.let("width", this.widths.load(band)), k.let("weight_start", weight.get())];
      k.for("bin", 0, width, (bin) => sum.set(sum.get().add(from.load(start.add(bin)).mul(this.weights.load(at.add(bin))))));
      weight.set(at.add(width));
      to.store(first.add(band), sum.get());
    });
  }
}

/** [.., bins] · constant [bins, bands] → [.., bands], without the products where a filter is 0. */
export const filterBank: OpDef = {
  name: "filterBank",
  infer(inputs) {
    const [x, filters] = [typeAt("filterBank", inputs, 0), typeAt("filterBank", inputs, 1, 2)];
    if (x.shape[x.shape.length - 1] !== filters.shape[0])
      refuse("filterBank", `filters [${filters.shape.join(",")}] do not fit [${x.shape.join(",")}]`);
    if (filters.shape[0]! > 65535) refuse("filterBank", `${filters.shape[0]} bins are more than 65535`);
    return [{ dtype: x.dtype, shape: [...x.shape.slice(0, -1), filters.shape[1]!] }];
  },
  loops(k, node) {
    oneType(node, ["float32"]);
    const filters = inputOf(node, 1);
    const [bins, bands] = filters.shape as [number, number];
    const x = k.input(0, "x");
    const writer = new BandWriter(k, node, filters);
    const y = k.output(0, "y");
    k.for("row", 0, k.int("rows", elementCount(inputOf(node, 0).shape) / bins), (row) =>
      writer.write(x, k.let("base", row.mul(k.int("bins", bins))), y, k.let("first", row.mul(k.int("bands", bands)))),
    );
    return k.finish("filter_bank_f32", "Sums of bins under filters.");
  },
  macs: (node) => (elementCount(inputOf(node, 0).shape) / inputOf(node, 1).shape[0]!) * bandProducts(node, inputOf(node, 1)),
  cases: [makeCase("rows", [typed("float32", [2, 3, 9]), { ...typed("float32", [9, 4]), constant: true }], typed("float32", [2, 3, 4]))],
};

export interface FilterBankAccumulateAttributes {
  /** Triangles in fixed point: what a bin adds to a channel, and what is left of it for the next one. */
  readonly weights: readonly number[];
  readonly unweights: readonly number[];
  /** For channel −1 … the last: the first bin, the first weight, and how many. */
  readonly frequencyStarts: readonly number[];
  readonly weightStarts: readonly number[];
  readonly widths: readonly number[];
}

const ACCUMULATE = "filterBankAccumulate";

function checkRuns(a: FilterBankAccumulateAttributes, bins: number): void {
  const { weights, unweights, frequencyStarts, weightStarts, widths } = a;
  if (frequencyStarts.length !== widths.length || weightStarts.length !== widths.length || widths.length < 2)
    refuse(ACCUMULATE, "the lists of channels differ in length or hold no channel");
  widths.forEach((width, i) => {
    const [bin, at] = [frequencyStarts[i]!, weightStarts[i]!];
    const inside = width <= 0 || (bin >= 0 && bin + width <= bins && at >= 0 && at + width <= Math.min(weights.length, unweights.length));
    if (!inside) refuse(ACCUMULATE, `channel ${i - 1} reads ${width} bins from ${bin} with weights from ${at}, outside what there is`);
  });
}

function accumulateLoops(k: KernelBuilder, node: Node): KernelInstance {
  needTypes(node, ["uint32"], ["uint64"]);
  const a = attributesOf<FilterBankAccumulateAttributes>(node);
  const x = k.input(0, "x");
  const table = (name: string, data: readonly number[]): Buffer => k.constant(name, "i16", Int16Array.from(data));
  const [weights, unweights] = [table("weights", a.weights), table("unweights", a.unweights)];
  const [bins, starts, widths] = [table("frequency_starts", a.frequencyStarts), table("weight_starts", a.weightStarts), table("widths", a.widths)];
  const y = k.output(0, "y");
  const zero = constant(0, "i64");
  const [sum, next] = [k.variable("sum", zero), k.variable("next", zero)];
  k.for("i", 0, k.int("runs", a.widths.length), (i) => {
    const [bin, start] = [k.let("bin", bins.load(i)), k.let("start", starts.load(i))];
    k.for("j", 0, widths.load(i), (j) => {
      const energy = k.let("energy", unsignedWide(x.load(bin.add(j))));
      sum.set(sum.get().wrapAdd(energy.wrapMul(weights.load(start.add(j)).to("i64"))));
      next.set(next.get().wrapAdd(energy.wrapMul(unweights.load(start.add(j)).to("i64"))));
    });
    // The run before the first channel only begins that channel's triangle.
    k.if(i.gt(0), () => y.store(i.sub(1), sum.get()));
    sum.set(next.get());
    next.set(zero);
  });
  return k.finish("filter_bank_accumulate", "Sums of energies under triangles that overlap by halves.");
}

/** uint32 energies [bins] → uint64 sums [channels], as TensorFlow Lite Micro's SignalFilterBank. */
export const filterBankAccumulate: OpDef = {
  name: ACCUMULATE,
  infer(inputs, attributes) {
    const x = typeAt(ACCUMULATE, inputs, 0, 1);
    const a = attributesOf<FilterBankAccumulateAttributes>({ attributes });
    checkRuns(a, x.shape[0]!);
    return [{ dtype: "uint64", shape: [a.widths.length - 1] }];
  },
  loops: accumulateLoops,
  macs: (node) => 2 * attributesOf<FilterBankAccumulateAttributes>(node).widths.reduce((sum, width) => sum + Math.max(0, width), 0),
  cases: [
    makeCase(
      "three channels",
      [unsignedCase([20])],
      { dtype: "uint64", shape: [3] },
      {
        weights: [0, 1024, 2048, 3072, 500, 1500, 2500, 3500, 4000, 100],
        unweights: [4096, 3072, 2048, 1024, 3596, 2596, 1596, 596, 96, 3996],
        frequencyStarts: [2, 6, 9, 14],
        weightStarts: [0, 3, 4, 8],
        widths: [4, 3, 4, 2],
      },
    ),
  ],
};
