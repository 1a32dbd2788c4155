/** One axis of a Resize: the sizes before and after, and the part of the input that the output shows (as shares of it). */
export interface ResizePlan {
  readonly input: number;
  readonly size: number;
  readonly scale: number;
  readonly region: readonly [number, number];
}

/** Which old elements a new one is made of. */
export interface Taps {
  readonly indices: readonly (readonly number[])[];
  /** Null where each is a copy of one. */
  readonly weights: readonly (readonly number[])[] | null;
  /** New elements that lie outside of the input, which are `fill`. */
  readonly outside: readonly boolean[];
  readonly fill: number;
}

export interface TapOptions {
  readonly mode: string;
  readonly nearest: string;
  readonly cubic: number;
  readonly excludeOutside: boolean;
  readonly antialias: boolean;
  readonly crop: boolean;
  readonly fill: number;
}

/** The position of every new element among the old ones (ONNX's coordinate_transformation_mode). */
export function coordinates({ input, size, scale, region }: ResizePlan, mode: string): number[] {
  const real = input * scale;
  const at = (i: number): number => {
    switch (mode) {
      case "half_pixel":
        return (i + 0.5) / scale - 0.5;
      case "half_pixel_symmetric": {
        const adjustment = size / real;
        return input / 2 - (adjustment * input) / 2 + (i + 0.5) / scale - 0.5;
      }
      case "pytorch_half_pixel":
        return size > 1 ? (i + 0.5) / scale - 0.5 : 0;
      case "align_corners":
        return size === 1 ? 0 : (i * (input - 1)) / (real - 1 > 0 && real !== size ? real - 1 : size - 1);
      case "asymmetric":
        return i / scale;
      case "tf_half_pixel_for_nn":
        return (i + 0.5) / scale;
      case "tf_crop_and_resize":
        return size > 1
          ? region[0] * (input - 1) + (i * (region[1] - region[0]) * (input - 1)) / (size - 1)
          : 0.5 * (region[0] + region[1]) * (input - 1);
      default:
        return Number.NaN;
    }
  };
  return Array.from({ length: size }, (_, i) => at(i));
}

const NEAREST: Readonly<Record<string, (x: number) => number>> = {
  round_prefer_floor: (x) => Math.ceil(x - 0.5),
  round_prefer_ceil: (x) => Math.floor(x + 0.5),
  floor: Math.floor,
  ceil: Math.ceil,
};

/** The cubic convolution kernel (Keys 1981) with parameter a. */
function cubicKernel(distance: number, a: number): number {
  const x = Math.abs(distance);
  if (x <= 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0;
}

/** Null where a mode is not known. */
export function tapsOf(positions: readonly number[], plan: ResizePlan, options: TapOptions): Taps | null {
  if (positions.some(Number.isNaN)) return null;
  const last = plan.input - 1;
  const inside = (index: number): number => Math.min(last, Math.max(0, index));
  const outside = positions.map((x) => options.crop && (x < 0 || x > last));
  const rest = { outside, fill: options.fill };
  if (options.mode === "nearest") {
    const nearest = NEAREST[options.nearest];
    return nearest === undefined ? null : { indices: positions.map((x) => [inside(nearest(x))]), weights: null, ...rest };
  }
  const radius = options.mode === "linear" ? 1 : options.mode === "cubic" ? 2 : 0;
  if (radius === 0) return null;
  // Shrinking without aliases widens the kernel by the same factor.
  const widening = options.antialias ? Math.min(1, plan.scale) : 1;
  const kernel = (d: number): number => (radius === 1 ? Math.max(0, 1 - Math.abs(d)) : cubicKernel(d, options.cubic));
  const reach = Math.ceil(radius / widening);
  const rows = positions.map((x) => {
    const first = Math.floor(x) - reach + 1;
    const indices = Array.from({ length: 2 * reach }, (_, i) => first + i);
    const weights = indices.map((index) => (options.excludeOutside && (index < 0 || index > last) ? 0 : kernel((index - x) * widening)));
    const sum = weights.reduce((a, b) => a + b, 0);
    return { indices: indices.map(inside), weights: weights.map((weight) => weight / sum) };
  });
  return { indices: rows.map((row) => row.indices), weights: rows.map((row) => row.weights), ...rest };
}
