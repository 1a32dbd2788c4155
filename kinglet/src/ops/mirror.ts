import { stridesOf } from "../base/index.ts";
import type { Expr } from "../loops/index.ts";
import { MOVED_TYPES, movedType } from "./move.ts";
import { attributesOf, inputOf, type OpDef, outputOf, refuse, suffixOf, typeAt } from "./op.ts";
import type { PadAttributes } from "./slice.ts";

export interface MirrorPadAttributes extends PadAttributes {
  /** "reflect" leaves the border element single, "symmetric" repeats it. */
  readonly mode: "reflect" | "symmetric";
}

export const mirrorPad: OpDef = {
  name: "mirrorPad",
  infer(inputs, attributes) {
    const x = typeAt("mirrorPad", inputs, 0);
    const a = attributesOf<MirrorPadAttributes>({ attributes });
    const most = a.mode === "reflect" ? 1 : 0;
    x.shape.forEach((size, d) => {
      if (!(Math.max(a.before[d]!, a.after[d]!) <= size - most))
        refuse("mirrorPad", `dimension ${d} of ${size} elements cannot be mirrored that far`);
    });
    return [{ dtype: x.dtype, shape: x.shape.map((size, d) => a.before[d]! + size + a.after[d]!) }];
  },
  loops(k, node) {
    const a = attributesOf<MirrorPadAttributes>(node);
    const [x, y] = [inputOf(node, 0), outputOf(node)];
    const input = k.input(0, "x");
    const output = k.output(0, "y");
    const [from, to] = [stridesOf(x.shape), stridesOf(y.shape)];
    const skip = a.mode === "reflect" ? 0 : 1;
    const nest = (d: number, source: Expr, target: Expr): void => {
      if (d === x.shape.length) return output.store(target, input.load(source));
      k.for(`i${d}`, 0, k.int(`size_${d}`, y.shape[d]!), (i) => {
        const at = k.let(`at_${d}`, i.sub(k.int(`before_${d}`, a.before[d]!)));
        const size = k.int(`in_${d}`, x.shape[d]!);
        const below = at.lt(0).select(at.mul(-1).sub(skip), at);
        const index = k.let(
          `index_${d}`,
          at
            .ge(size)
            .select(
              size
                .mul(2)
                .sub(2 - skip)
                .sub(at),
              below,
            )
            .clamp(0, size.sub(1)),
        );
        nest(d + 1, k.let(`from_${d}`, source.add(index.mul(from[d]!))), k.let(`to_${d}`, target.add(i.mul(to[d]!))));
      });
    };
    nest(0, k.int("from_start", 0), k.int("to_start", 0));
    return k.finish(`mirror_pad_${suffixOf(x.dtype)}`, "Surrounds a tensor with its mirror image.");
  },
  cases: MOVED_TYPES.flatMap((dtype) =>
    (["reflect", "symmetric"] as const).map((mode) => ({
      name: `${dtype} ${mode}`,
      attributes: { before: [0, 1, 2], after: [0, 1, 0], mode },
      inputs: [movedType(dtype, [2, 2, 3])],
      outputs: [movedType(dtype, [2, 4, 5])],
    })),
  ),
};
