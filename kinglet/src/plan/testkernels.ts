import { defineFunction, i32, KernelBuilder, type KernelInstance, type MemoryType } from "../loops/index.ts";

/** out[i] = in[i] + 1 */
export function elementwise(n: number, from: MemoryType = "i8", to: MemoryType = "i8"): KernelInstance {
  const k = new KernelBuilder([from], [to]);
  const [x, out] = [k.input(0, "x"), k.output(0, "out")];
  k.for("i", 0, k.int("n", n), (i) => out.store(i, x.load(i).add(1)));
  return k.finish("elementwise", "Adds one.");
}

export function add(n: number): KernelInstance {
  const k = new KernelBuilder(["i8", "i8"], ["i8"]);
  const [a, b, out] = [k.input(0, "a"), k.input(1, "b"), k.output(0, "out")];
  k.for("i", 0, k.int("n", n), (i) => out.store(i, a.load(i).add(b.load(i)).and(63)));
  return k.finish("add", "Adds two.");
}

/** Channel by channel over interleaved elements; with `neighbour` each one also adds the channel before it. */
export function channelsInTurn(pixels: number, channels: number, neighbour: boolean): KernelInstance {
  const k = new KernelBuilder(["i8"], ["i8"]);
  const [x, out] = [k.input(0, "x"), k.output(0, "out")];
  k.for("c", 0, k.int("channels", channels), (c) =>
    k.for("i", 0, k.int("pixels", pixels), (i) => {
      const at = k.let("at", i.mul(channels).add(c));
      const other = neighbour ? x.load(at.sub(c).add(c.sub(1).max(0))) : i32(1);
      out.store(at, x.load(at).add(other).and(63));
    }),
  );
  return k.finish("channels_in_turn", "Adds one, or the channel before.");
}

export interface Window {
  readonly height: number;
  readonly width: number;
  readonly inChannels: number;
  readonly outChannels: number;
  readonly kernel: number;
  readonly stride: number;
  readonly padding: number;
}

export function outSize(w: Window): { height: number; width: number } {
  const size = (n: number): number => Math.floor((n + 2 * w.padding - w.kernel) / w.stride) + 1;
  return { height: size(w.height), width: size(w.width) };
}

/** A convolution without weights: sums a padded window over all channels. */
export function windowSum(w: Window): KernelInstance {
  const k = new KernelBuilder(["i8"], ["i8"]);
  const [x, out] = [k.input(0, "x"), k.output(0, "out")];
  const { height, width } = outSize(w);
  const [ih, iw, ic] = [k.int("in_height", w.height), k.int("in_width", w.width), k.int("in_channels", w.inChannels)];
  const [ow, oc] = [k.int("out_width", width), k.int("out_channels", w.outChannels)];
  k.for("oy", 0, k.int("out_height", height), (oy) =>
    k.for("ox", 0, ow, (ox) =>
      k.for("o", 0, oc, (o) => {
        const sum = k.variable("sum", o);
        k.for("ky", 0, k.int("kernel", w.kernel), (ky) => {
          const y = k.let("y", oy.mul(w.stride).add(ky).sub(w.padding));
          k.if(y.ge(0).and(y.lt(ih)), () =>
            k.for("kx", 0, w.kernel, (kx) => {
              const col = k.let("col", ox.mul(w.stride).add(kx).sub(w.padding));
              k.if(col.ge(0).and(col.lt(iw)), () =>
                k.for("c", 0, ic, (c) => {
                  sum.set(sum.get().add(x.load(y.mul(iw).add(col).mul(ic).add(c)).mul(c.add(1))));
                }),
              );
            }),
          );
        });
        out.store(oy.mul(ow).add(ox).mul(oc).add(o), sum.get().and(63));
      }),
    ),
  );
  return k.finish("window_sum", "Sums windows.");
}

/** Puts two inputs one after the other. */
export function concat(a: number, b: number): KernelInstance {
  const k = new KernelBuilder(["i8", "i8"], ["i8"]);
  const [x, y, out] = [k.input(0, "x"), k.input(1, "y"), k.output(0, "out")];
  k.copy(out, 0, x, 0, i32(a));
  k.copy(out, a, y, 0, i32(b));
  return k.finish("concat", "Joins two.");
}

/** out[i] = x[ids[i] % n] */
export function gather(n: number): KernelInstance {
  const k = new KernelBuilder(["i8", "i8"], ["i8"]);
  const [x, ids, out] = [k.input(0, "x"), k.input(1, "ids"), k.output(0, "out")];
  k.for("i", 0, n, (i) => out.store(i, x.load(k.let("id", ids.load(i)).rem(n))));
  return k.finish("gather", "Looks values up.");
}

/** Sums in a scratch buffer first, then writes backwards. */
export function reverseThroughScratch(n: number): KernelInstance {
  const k = new KernelBuilder(["i8"], ["i8"]);
  const [x, out, work] = [k.input(0, "x"), k.output(0, "out"), k.scratch("work", "i32", n)];
  k.for("i", 0, n, (i) => work.store(i, x.load(i)));
  k.for("j", 0, n, (j) => out.store(i32(n - 1).sub(j), work.load(j)));
  return k.finish("reverse_scratch", "Reverses.");
}

/** out[i] = x[n − 1 − i], read and written one by one. */
export function reverse(n: number): KernelInstance {
  const k = new KernelBuilder(["i8"], ["i8"]);
  const [x, out] = [k.input(0, "x"), k.output(0, "out")];
  k.for("i", 0, n, (i) => out.store(i, x.load(i32(n - 1).sub(i))));
  return k.finish("reverse", "Reverses.");
}

/** Reads through a pointer that moves as the loops go. */
export function pointerWalk(n: number, step: number): KernelInstance {
  const k = new KernelBuilder(["i8"], ["i8"]);
  const [x, out] = [k.input(0, "x"), k.output(0, "out")];
  const at = k.variable("at", i32(0));
  k.for("i", 0, n, (i) => {
    out.store(i, x.load(at.get()).add(1));
    at.set(at.get().add(step));
  });
  return k.finish("pointer_walk", "Every so manieth.");
}

/** out[i] = x[half(i)], where a helper computes the half. */
export function repeatTwice(n: number): KernelInstance {
  const k = new KernelBuilder(["i8"], ["i8"]);
  const [x, out] = [k.input(0, "x"), k.output(0, "out")];
  const half = defineFunction("half", "i / 2", { i: "i32" }, "i32", (f, i) => f.return(f.let("result", i!.div(2))));
  k.for("i", 0, 2 * n, (i) => out.store(i, x.load(k.call(half, i))));
  return k.finish("repeat_twice", "Repeats elements.");
}

/** Stores one of two values, as the data says. */
export function threshold(n: number): KernelInstance {
  const k = new KernelBuilder(["i8"], ["i8"]);
  const [x, out] = [k.input(0, "x"), k.output(0, "out")];
  k.for("i", 0, n, (i) =>
    k.if(
      x.load(i).gt(50),
      () => out.store(i, 1),
      () => out.store(i, 0),
    ),
  );
  return k.finish("threshold", "Compares.");
}
