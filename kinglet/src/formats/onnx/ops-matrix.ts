import { elementCount } from "../../base/index.ts";
import type { Value } from "../../graph/index.ts";
import { add, mul, reduce } from "./math.ts";
import type { Rule, Site } from "./site.ts";

/** Products of matrices of floats, with whatever is in front of their last two dimensions. */
export function matmul(site: Site, a: Value, b: Value, adjX = false, adjY = false): Value {
  const left = a.shape.length === 1 ? site.reshape(a, [1, a.shape[0]!]) : a;
  const right = b.shape.length === 1 ? site.reshape(b, [b.shape[0]!, 1]) : b;
  const y = product(site, left, right, adjX, adjY);
  const shape = [...y.shape];
  if (b.shape.length === 1) shape.pop();
  if (a.shape.length === 1) shape.splice(shape.length - (b.shape.length === 1 ? 1 : 2), 1);
  return site.reshape(y, shape);
}

function product(site: Site, a: Value, b: Value, adjX: boolean, adjY: boolean): Value {
  if (a.dtype !== "float32") return integerProduct(site, a, b);
  // Constant weights make a fully connected layer, which targets have fast kernels for.
  if (b.data !== undefined && b.shape.length === 2 && !adjX) return dense(site, a, adjY ? b : site.transpose(b, [1, 0]), null);
  return site.emit("batchMatmul", [a, b], { adjX, adjY });
}

/** Sums of products of whole numbers, in their own type. */
function integerProduct(site: Site, a: Value, b: Value): Value {
  const rank = Math.max(a.shape.length, b.shape.length);
  const left = site.reshape(a, [...a.shape, 1]);
  const right = site.reshape(b, [...b.shape.slice(0, -2), 1, ...b.shape.slice(-2)]);
  return reduce(site, "sum", mul(site, left, right), [rank - 1], false);
}

/** x [..., in] times weights [out, in]. */
export function dense(site: Site, x: Value, weights: Value, bias: Value | null): Value {
  return site.emit("fullyConnected", [x, weights, bias], { activation: "none", keepDims: true });
}

function gemm(site: Site): Value {
  const [a, b, c] = [site.input(0), site.input(1), site.optional(2)];
  const [alpha, beta] = [site.float("alpha", 1), site.float("beta", 1)];
  const turnA = site.int("transA", 0) !== 0;
  const turnB = site.int("transB", 0) !== 0;
  if (a.dtype !== "float32") return integerGemm(site, a, b, c);
  const outputs = b.shape[turnB ? 0 : 1];
  const isBias = c !== null && c.data !== undefined && elementCount(c.shape) === outputs && (c.shape.length < 2 || c.shape[0] === 1 || outputs === 1);
  if (b.data !== undefined && !turnA && alpha === 1 && beta === 1 && (c === null || (isBias && elementCount(c.shape) === c.shape.at(-1)))) {
    const weights = turnB ? b : site.transpose(b, [1, 0]);
    return dense(site, a, weights, c === null ? null : site.reshape(c, [outputs!]));
  }
  const y = product(site, a, b, turnA, turnB);
  const scaled = alpha === 1 ? y : mul(site, y, alpha);
  return c === null ? scaled : add(site, scaled, beta === 1 ? c : mul(site, c, beta));
}

function integerGemm(site: Site, a: Value, b: Value, c: Value | null): Value {
  if (site.float("alpha", 1) !== 1 || site.float("beta", 1) !== 1) return site.unsupported("a Gemm of integers with factors is not supported");
  const left = site.int("transA", 0) !== 0 ? site.transpose(a, [1, 0]) : a;
  const y = integerProduct(site, left, site.int("transB", 0) !== 0 ? site.transpose(b, [1, 0]) : b);
  return c === null ? y : add(site, y, c);
}

/** Letters of the operands and the result; those behind an ellipsis are capital letters from the right. */
function einsumTerms(site: Site, ranks: readonly number[]): { inputs: string[]; output: string } {
  const equation = site.text("equation", "").replace(/\s/g, "");
  const [left, right] = equation.split("->") as [string, string | undefined];
  const expand = (term: string, extra: number): string => {
    if (!/^[a-z]*(\.\.\.)?[a-z]*$/i.test(term)) site.fail(`"${equation}" is not an equation`);
    return term.replace("...", Array.from({ length: Math.max(0, extra) }, (_, i) => String.fromCharCode(0x410 + extra - 1 - i)).join(""));
  };
  const terms = left.split(",");
  if (terms.length !== ranks.length) site.fail(`"${equation}" is for ${terms.length} operands`);
  const extras = terms.map((term, i) => (term.includes("...") ? ranks[i]! - term.replace("...", "").length : 0));
  const inputs = terms.map((term, i) => expand(term, extras[i]!));
  inputs.forEach((letters, i) => {
    if (letters.length !== ranks[i]) site.fail(`"${equation}" does not fit an operand of ${ranks[i]} dimensions`);
  });
  const most = Math.max(0, ...extras);
  const counted = [...inputs.join("")];
  const single = [...new Set(counted)].filter((letter) => counted.filter((other) => other === letter).length === 1 && letter < "\u0400");
  const broadcast = Array.from({ length: most }, (_, i) => String.fromCharCode(0x410 + most - 1 - i)).join("");
  return { inputs, output: right === undefined ? broadcast + single.sort().join("") : expand(right, most) };
}

/** A letter that stands twice in one operand names its diagonal. */
function diagonal(site: Site, x: Value, letters: string): { x: Value; letters: string } {
  const second = [...letters].findIndex((letter, d) => letters.indexOf(letter) < d);
  if (second < 0) return { x, letters };
  const first = letters.indexOf(letters[second]!);
  const size = x.shape[first]!;
  const rest = [...letters].map((_, d) => d).filter((d) => d !== first && d !== second);
  const front = site.transpose(x, [first, second, ...rest]);
  const flat = site.reshape(front, [size * size, ...rest.map((d) => x.shape[d]!)]);
  const table = Int32Array.from({ length: size }, (_, i) => i * (size + 1));
  const picked = site.emit("gather", [flat, site.constant(table, "int32", [size])], { axis: 0, batchDims: 0 });
  return diagonal(site, picked, letters[first]! + rest.map((d) => letters[d]!).join(""));
}

/** Sums over letters that nothing else needs, and brings the rest into the order of `wanted`, with 1 for what is absent. */
function arranged(site: Site, x: Value, letters: string, wanted: string): Value {
  const gone = [...letters].flatMap((letter, d) => (wanted.includes(letter) ? [] : [d]));
  const summed = gone.length === 0 ? x : reduce(site, "sum", x, gone, false);
  const kept = [...letters].filter((letter) => wanted.includes(letter));
  const order = [...wanted].filter((letter) => kept.includes(letter)).map((letter) => kept.indexOf(letter));
  const turned = site.transpose(summed, order);
  const shape = [...wanted].map((letter) => (kept.includes(letter) ? summed.shape[kept.indexOf(letter)]! : 1));
  return site.reshape(turned, shape);
}

/** Two operands are joined to one that keeps the letters that are still needed: a product of matrices, over shared letters in front. */
function joined(site: Site, a: { x: Value; letters: string }, b: { x: Value; letters: string }, needed: string): { x: Value; letters: string } {
  const all = [...new Set(a.letters + b.letters)];
  const inBoth = all.filter((letter) => a.letters.includes(letter) && b.letters.includes(letter));
  const summed = inBoth.filter((letter) => !needed.includes(letter)).join("");
  const batch = inBoth.filter((letter) => needed.includes(letter)).join("");
  const rows = all.filter((letter) => a.letters.includes(letter) && !inBoth.includes(letter) && needed.includes(letter)).join("");
  const columns = all.filter((letter) => b.letters.includes(letter) && !inBoth.includes(letter) && needed.includes(letter)).join("");
  const left = arranged(site, a.x, a.letters, batch + rows + summed);
  const right = arranged(site, b.x, b.letters, batch + summed + columns);
  const cut = (value: Value, from: number, to?: number): readonly number[] => value.shape.slice(from, to);
  const front = batch.length;
  const depth = elementCount(cut(left, front + rows.length));
  const l = site.reshape(left, [...cut(left, 0, front), elementCount(cut(left, front, front + rows.length)), depth]);
  const r = site.reshape(right, [...cut(right, 0, front), depth, elementCount(cut(right, front + summed.length))]);
  const y = product(site, l, r, false, false);
  const shape = [...y.shape.slice(0, front), ...cut(left, front, front + rows.length), ...cut(right, front + summed.length)];
  return { x: site.reshape(y, shape), letters: batch + rows + columns };
}

function einsum(site: Site): Value {
  const values = site.inputs.map((_, i) => site.input(i));
  const { inputs, output } = einsumTerms(
    site,
    values.map(({ shape }) => shape.length),
  );
  const operands = values.map((x, i) => diagonal(site, x, inputs[i]!));
  const result = operands.slice(1).reduce((left, right, i) => {
    const later = operands.slice(i + 2).map(({ letters }) => letters);
    return joined(site, left, right, output + later.join(""));
  }, operands[0]!);
  return arranged(site, result.x, result.letters, output);
}

export const MATRIX: Readonly<Record<string, Rule>> = {
  MatMul: (site) => matmul(site, site.input(0), site.input(1)),
  Gemm: gemm,
  Einsum: einsum,
};
