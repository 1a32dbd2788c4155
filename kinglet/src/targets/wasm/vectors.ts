import type { Expr, Images, KernelBuilder } from "../../loops/index.ts";

function isDense(images: Images): boolean {
  return images.row === images.width * images.channels && images.image === images.height * images.row;
}

/** Elements side by side in every layout: a row of an image, or all of a tensor of another rank. */
export function rowLength(shape: readonly number[]): number {
  return shape.length === 4 ? shape[2]! * shape[3]! : shape.reduce((product, size) => product * size, 1);
}

/**
 * Visits the elements of tensors of one shape, each in its layout, in runs that lie side by side in all of them:
 * `body` gets the first element of a run in each tensor, and the run's length.
 */
export function eachRun(k: KernelBuilder, tensors: readonly Images[], body: (at: readonly Expr[], count: number) => void): void {
  const { batches, height, width, channels } = tensors[0]!;
  const joined = tensors.every(isDense);
  const [outer, lines] = joined ? [1, 1] : [batches, height];
  k.for("n", 0, k.int("batches", outer), (n) =>
    k.for("line", 0, k.int("lines", lines), (line) => {
      const at = tensors.map(({ image, row, first }, i) =>
        k.let(
          "at",
          n
            .mul(k.int(`image${i}`, image))
            .add(line.mul(k.int(`row${i}`, row)))
            .add(k.int(`first${i}`, first)),
        ),
      );
      body(at, joined ? batches * height * width * channels : width * channels);
    }),
  );
}

/** Visits a run by vectors of `lanes` elements, at least one; the last vector moves back to end with the last element. */
export function eachVector(k: KernelBuilder, count: number, lanes: number, body: (i: Expr) => void): void {
  const last = count - lanes;
  k.parallelFor("i", 0, k.int("count", Math.max(1, last)), body, lanes);
  if (last > 0) body(k.int("last", last));
}
