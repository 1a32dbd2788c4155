import { elementCount } from "../base/index.ts";
import type { Node, ValueType } from "../graph/index.ts";
import { type Buffer, type Expr, f32, i32, i64, type KernelBuilder, type KernelInstance } from "../loops/index.ts";
import { MOVED_TYPES, movedType } from "./move.ts";
import { attributesOf, inputOf, memoryOf, type OpCase, type OpDef, outputOf, refuse, suffixOf, typeAt, unsupportedTypes } from "./op.ts";
import { roundAwayFloat } from "./round.ts";

export interface ResizeAttributes {
  readonly height: number;
  readonly width: number;
  /** The corner elements of input and output lie on each other. */
  readonly alignCorners: boolean;
  /** Elements are squares with their position in the middle. */
  readonly halfPixelCenters: boolean;
}

/** The two rows (or columns) that an output row lies between, and how far from the lower one. */
interface Between {
  readonly low: Expr;
  readonly high: Expr;
  /** In f32 a fraction, in i32 steps of 1/1024. Below the first row it is negative, and both rows are the first. */
  readonly part: Expr;
}

/** Real step in the input for one step in the output, as two whole numbers. */
function ratio(input: number, output: number, a: ResizeAttributes): [number, number] {
  return a.alignCorners && output > 1 ? [input - 1, output - 1] : [input, output];
}

/** Positions in single precision, each operation rounded as TensorFlow Lite's ComputeInterpolationValues does. */
function floatBetween(k: KernelBuilder, name: string, i: Expr, input: number, output: number, a: ResizeAttributes): Between {
  const [above, below] = ratio(input, output, a);
  const scale = k.float(`${name}_scale`, above / below);
  const index = i.to("f32");
  const at = k.let(`${name}_at`, a.halfPixelCenters ? index.add(0.5).mul(scale).sub(0.5) : index.mul(scale));
  const last = k.int(`in_${name}`, input).sub(1);
  const low = k.let(`${name}_low`, at.floor().to("i32").clamp(0, last));
  const high = k.let(`${name}_high`, at.ceil().to("i32").clamp(0, last));
  return { low, high, part: k.let(`${name}_part`, at.sub(low.to("f32"))) };
}

/** Positions with 10 fraction bits (ComputeInterpolationValuesInteger). */
function fixedBetween(k: KernelBuilder, name: string, i: Expr, input: number, output: number, a: ResizeAttributes): Between {
  const [above, below] = ratio(input, output, a);
  const step = Math.floor((1024 * above + Math.floor(below / 2)) / below);
  const start = a.halfPixelCenters ? Math.floor(step / 2) - 512 : 0;
  const at = k.let(`${name}_at`, i.mul(k.int(`${name}_step`, step)).add(k.int(`${name}_start`, start)));
  const last = k.int(`in_${name}`, input).sub(1);
  const low = k.let(`${name}_low`, at.div(1024).clamp(0, last));
  const high = k.let(`${name}_high`, at.add(1023).div(1024).clamp(0, last));
  return { low, high, part: k.let(`${name}_part`, at.sub(low.mul(1024))) };
}

/** Visits every output pixel; `at` gives the position of an output row or column in the input, and is called once for each. */
function eachTarget<T>(
  k: KernelBuilder,
  x: ValueType,
  y: ValueType,
  at: (name: string, i: Expr, d: number) => T,
  body: (n: Expr, row: T, column: T, target: Expr) => void,
): void {
  const [height, width] = [k.int("out_h", y.shape[1]!), k.int("out_w", y.shape[2]!)];
  k.for("n", 0, k.int("batches", x.shape[0]!), (n) =>
    k.for("oy", 0, height, (oy) => {
      const row = at("h", oy, 1);
      k.for("ox", 0, width, (ox) => body(n, row, at("w", ox, 2), n.mul(height).add(oy).mul(width).add(ox)));
    }),
  );
}

/** Σ of four corners times two weights each, in the reference's order: every product and sum is rounded by itself. */
function floatMix(corners: readonly Expr[], row: Expr, column: Expr): Expr {
  const weights = [
    [f32(1).sub(row), f32(1).sub(column)],
    [row, f32(1).sub(column)],
    [f32(1).sub(row), column],
    [row, column],
  ];
  return corners.map((corner, i) => corner.mul(weights[i]![0]!).mul(weights[i]![1]!)).reduce((sum, term) => sum.add(term));
}

/** The same with 20 fraction bits, rounded half away from zero. 16-bit elements need 64 bits. */
function fixedMix(k: KernelBuilder, corners: readonly Expr[], row: Expr, column: Expr, wide: boolean): Expr {
  const weights = [
    [i32(1024).sub(row), i32(1024).sub(column)],
    [row, i32(1024).sub(column)],
    [i32(1024).sub(row), column],
    [row, column],
  ];
  const type = wide ? "i64" : "i32";
  const sum = k.let(
    "sum",
    corners.map((corner, i) => corner.to(type).mul(weights[i]![0]!.mul(weights[i]![1]!).to(type))).reduce((a, b) => a.add(b)),
  );
  const half = wide ? i64(1 << 19) : i32(1 << 19);
  return sum
    .gt(0)
    .select(sum.add(half), sum.sub(half))
    .div(1 << 20)
    .to("i32");
}

function bilinearLoops(k: KernelBuilder, node: Node): KernelInstance {
  const a = attributesOf<ResizeAttributes>(node);
  const [x, y] = [inputOf(node, 0), outputOf(node)];
  if (!["float32", "int8", "uint8", "int16"].includes(x.dtype)) throw unsupportedTypes(node);
  const input = k.input(0, "x");
  const output = k.output(0, "y");
  const channels = k.int("channels", x.shape[3]!);
  const between = x.dtype === "float32" ? floatBetween : fixedBetween;
  eachTarget(
    k,
    x,
    y,
    (name, i, d) => between(k, name, i, x.shape[d]!, y.shape[d]!, a),
    (n, row, column, target) => {
      const pixel = (name: string, h: Expr, w: Expr): Expr =>
        k.let(name, n.mul(k.int("in_h", x.shape[1]!)).add(h).mul(k.int("in_w", x.shape[2]!)).add(w).mul(channels));
      const from = [
        pixel("ll", row.low, column.low),
        pixel("lu", row.high, column.low),
        pixel("rl", row.low, column.high),
        pixel("ru", row.high, column.high),
      ];
      const to = k.let("to", target.mul(channels));
      k.for("c", 0, channels, (c) => {
        const corners = from.map((start) => input.load(start.add(c)));
        output.store(
          to.add(c),
          x.dtype === "float32" ? floatMix(corners, row.part, column.part) : fixedMix(k, corners, row.part, column.part, x.dtype === "int16"),
        );
      });
    },
  );
  return k.finish(`resize_bilinear_${suffixOf(x.dtype)}`, "Scales a picture; new elements lie on straight lines between the old.");
}

/** The row (or column) an output row is a copy of, in single precision as GetNearestNeighbor has it. */
function nearest(k: KernelBuilder, name: string, i: Expr, input: number, output: number, a: ResizeAttributes): Expr {
  const [above, below] = ratio(input, output, a);
  const index = a.halfPixelCenters ? i.to("f32").add(0.5) : i.to("f32");
  const at = index.mul(k.float(`${name}_scale`, above / below));
  const whole = a.alignCorners ? k.call(roundAwayFloat, at) : at.floor();
  return k.let(`${name}_from`, whole.to("i32").clamp(0, k.int(`in_${name}`, input).sub(1)));
}

function nearestLoops(k: KernelBuilder, node: Node): KernelInstance {
  const a = attributesOf<ResizeAttributes>(node);
  const [x, y] = [inputOf(node, 0), outputOf(node)];
  memoryOf(node, x);
  const input: Buffer = k.input(0, "x");
  const output = k.output(0, "y");
  const channels = k.int("channels", x.shape[3]!);
  eachTarget(
    k,
    x,
    y,
    (name, i, d) => nearest(k, name, i, x.shape[d]!, y.shape[d]!, a),
    (n, row, column, target) => {
      const from = n.mul(k.int("in_h", x.shape[1]!)).add(row).mul(k.int("in_w", x.shape[2]!)).add(column);
      k.copy(output, target.mul(channels), input, from.mul(channels), channels);
    },
  );
  return k.finish(`resize_nearest_${suffixOf(x.dtype)}`, "Scales a picture; new elements are copies of the nearest old ones.");
}

function resizedType(op: string, inputs: readonly (ValueType | null)[], a: ResizeAttributes): { dtype: ValueType["dtype"]; shape: number[] } {
  const x = typeAt(op, inputs, 0, 4);
  if (!(a.height > 0 && a.width > 0)) refuse(op, `there is no picture of ${a.height}x${a.width}`);
  if (elementCount(x.shape) === 0) refuse(op, "the picture is empty");
  return { dtype: x.dtype, shape: [x.shape[0]!, a.height, a.width, x.shape[3]!] };
}

const SIZES = [
  [5, 7],
  [2, 3],
  [9, 1],
] as const;
const MODES = [
  [false, false],
  [true, false],
  [false, true],
] as const;

function resizeCases(types: OpCase["inputs"][number][], both: boolean): OpCase[] {
  return types.flatMap((type, t) =>
    SIZES.flatMap(([height, width], s) =>
      [...MODES, ...(both ? [[true, true] as const] : [])].flatMap(([alignCorners, halfPixelCenters], m) => {
        // The first type is tried in every way, the others in some.
        if (t > 0 && (s + m + t) % 3 !== 0) return [];
        const mode = `${alignCorners ? ", corners aligned" : ""}${halfPixelCenters ? ", half pixel" : ""}`;
        return [
          {
            name: `${type!.dtype} to ${height}x${width}${mode}`,
            attributes: { height, width, alignCorners, halfPixelCenters },
            inputs: [type!],
            outputs: [{ ...type!, shape: [2, height, width, 3] }],
          },
        ];
      }),
    ),
  );
}

export const resizeBilinear: OpDef = {
  name: "resizeBilinear",
  infer(inputs, attributes) {
    const a = attributesOf<ResizeAttributes>({ attributes });
    if (a.alignCorners && a.halfPixelCenters) refuse("resizeBilinear", "corners cannot be aligned where positions are the middles of pixels");
    return [resizedType("resizeBilinear", inputs, a)];
  },
  loops: bilinearLoops,
  cases: resizeCases(
    (["int8", "float32", "uint8", "int16"] as const).map((dtype) => movedType(dtype, [2, 4, 5, 3])),
    false,
  ),
};

export const resizeNearest: OpDef = {
  name: "resizeNearest",
  infer: (inputs, attributes) => [resizedType("resizeNearest", inputs, attributesOf<ResizeAttributes>({ attributes }))],
  loops: nearestLoops,
  cases: resizeCases(
    MOVED_TYPES.map((dtype) => movedType(dtype, [2, 4, 5, 3])),
    true,
  ),
};
