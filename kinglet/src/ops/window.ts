import type { ValueType } from "../graph/index.ts";
import type { Expr, KernelBuilder } from "../loops/index.ts";
import { refuse, type Walk } from "./op.ts";
import type { Activation } from "./quantization.ts";

/** Explicit padding; a stride or dilation of 1 is none. */
export interface WindowAttributes {
  readonly strideH: number;
  readonly strideW: number;
  readonly dilationH?: number;
  readonly dilationW?: number;
  readonly padTop: number;
  readonly padBottom: number;
  readonly padLeft: number;
  readonly padRight: number;
  readonly activation: Activation;
}

/** Number of positions of a window of `size` along a padded edge. */
export function windowPositions(op: string, length: number, before: number, after: number, size: number, stride: number, dilation = 1): number {
  const reach = (size - 1) * dilation + 1;
  const positions = Math.floor((length + before + after - reach) / stride) + 1;
  if (!(stride >= 1) || !(dilation >= 1) || before < 0 || after < 0) refuse(op, "strides and dilations must be at least 1 and padding at least 0");
  if (positions < 1) refuse(op, `a window of ${reach} does not fit into ${length} elements`);
  return positions;
}

/** The sizes of a window operator as kernel parameters. */
export interface WindowSizes {
  readonly batches: Expr;
  readonly inH: Expr;
  readonly inW: Expr;
  readonly inC: Expr;
  readonly outH: Expr;
  readonly outW: Expr;
  readonly outC: Expr;
  readonly filterH: Expr;
  readonly filterW: Expr;
}

export function windowSizes(k: KernelBuilder, x: ValueType, y: ValueType, filterH: number, filterW: number): WindowSizes {
  return {
    batches: k.int("batches", x.shape[0]!),
    inH: k.int("in_h", x.shape[1]!),
    inW: k.int("in_w", x.shape[2]!),
    inC: k.int("in_c", x.shape[3]!),
    outH: k.int("out_h", y.shape[1]!),
    outW: k.int("out_w", y.shape[2]!),
    outC: k.int("out_c", y.shape[3]!),
    filterH: k.int("filter_h", filterH),
    filterW: k.int("filter_w", filterW),
  };
}

/** Index i of an edge, from its start or from its end; which of the two is a parameter, so that layers share the code. */
function walked(k: KernelBuilder, name: string, i: Expr, size: number, walk: Walk): Expr {
  return k.let(name, k.int(`${name}_start`, walk === "forward" ? 0 : size - 1).add(i.mul(k.int("walk", walk === "forward" ? 1 : -1))));
}

/**
 * Visits every output pixel: batch, row, column, and the input position of the window's first element.
 * `begin` writes what comes before the pixels of a batch; `walk` lets the caller choose the order of the pixels.
 */
export function eachPixel(
  k: KernelBuilder,
  sizes: WindowSizes,
  a: WindowAttributes,
  body: (n: Expr, oy: Expr, ox: Expr, y0: Expr, x0: Expr) => void,
  begin?: (n: Expr) => void,
  walk?: { direction: Walk; outH: number; outW: number },
): void {
  const strideH = k.int("stride_h", a.strideH);
  const strideW = k.int("stride_w", a.strideW);
  const padTop = k.int("pad_top", a.padTop);
  const padLeft = k.int("pad_left", a.padLeft);
  k.for("n", 0, sizes.batches, (n) => {
    begin?.(n);
    k.for("i", 0, sizes.outH, (i) =>
      k.for("j", 0, sizes.outW, (j) => {
        const oy = walk === undefined ? i : walked(k, "oy", i, walk.outH, walk.direction);
        const ox = walk === undefined ? j : walked(k, "ox", j, walk.outW, walk.direction);
        const y0 = k.let("y0", oy.mul(strideH).sub(padTop));
        const x0 = k.let("x0", ox.mul(strideW).sub(padLeft));
        body(n, oy, ox, y0, x0);
      }),
    );
  });
}

/** Visits the elements of a window that lie inside the input: filter position and input pixel index. */
export function eachInside(
  k: KernelBuilder,
  sizes: WindowSizes,
  a: WindowAttributes,
  n: Expr,
  y0: Expr,
  x0: Expr,
  body: (ky: Expr, kx: Expr, pixel: Expr) => void,
): void {
  const dilationH = k.int("dilation_h", a.dilationH ?? 1);
  const dilationW = k.int("dilation_w", a.dilationW ?? 1);
  k.for("ky", 0, sizes.filterH, (ky) => {
    const iy = k.let("iy", y0.add(ky.mul(dilationH)));
    k.if(iy.ge(0).and(iy.lt(sizes.inH)), () =>
      k.for("kx", 0, sizes.filterW, (kx) => {
        const ix = k.let("ix", x0.add(kx.mul(dilationW)));
        k.if(ix.ge(0).and(ix.lt(sizes.inW)), () => body(ky, kx, n.mul(sizes.inH).add(iy).mul(sizes.inW).add(ix)));
      }),
    );
  });
}
