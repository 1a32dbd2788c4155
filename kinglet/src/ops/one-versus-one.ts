import type { ValueType } from "../graph/index.ts";
import { type Buffer, type Expr, f32, i32, type KernelBuilder } from "../loops/index.ts";
import { expFloat } from "./float-math.ts";
import { attributesOf, inputOf, type OpDef, outputOf, refuse, typeAt, unsupportedTypes } from "./op.ts";

/**
 * Classes told apart by a machine for every pair of them, as libsvm does it (Chang & Lin, "LIBSVM", 2011). Pairs are counted
 * (0, 1), (0, 2), … (1, 2), …; a score above 0 speaks for the first of a pair.
 */

export interface OneVersusOneAttributes {
  /** Support vectors of each class, which lie in the order of their classes. */
  readonly vectors: readonly number[];
}

const pairsOf = (classes: number): number => (classes * (classes - 1)) / 2;

/** The number of classes of a count of pairs. */
function classesOf(op: string, scores: ValueType): number {
  const pairs = scores.shape[1]!;
  const classes = Math.round((1 + Math.sqrt(1 + 8 * pairs)) / 2);
  return pairsOf(classes) === pairs ? classes : refuse(op, `${pairs} is no number of pairs`);
}

/** The place of the pair (i, j), i < j. */
function pairAt(k: KernelBuilder, i: Expr, j: Expr, classes: number): Expr {
  return i
    .mul(k.int("twice", 2 * classes - 1).sub(i))
    .shr(1)
    .add(j)
    .sub(i)
    .sub(1);
}

function eachPair(k: KernelBuilder, classes: number, body: (i: Expr, j: Expr, pair: Expr) => void): void {
  const count = k.int("classes", classes);
  k.for("i", 0, count, (i) => k.for("j", i.add(1), count, (j) => body(i, j, k.let("pair", pairAt(k, i, j, classes)))));
}

function requireFloats(node: Parameters<OpDef["loops"]>[1]): void {
  if (node.inputs.some((input) => input?.dtype !== "float32")) throw unsupportedTypes(node);
}

/** What the machines of all pairs say: of kernels [n, vectors], coefficients [classes - 1, vectors] and offsets [pairs] it makes [n, pairs]. */
export const oneVersusOneScores: OpDef = {
  name: "oneVersusOneScores",
  infer(inputs, attributes) {
    const { vectors } = attributesOf<OneVersusOneAttributes>({ attributes });
    const [kernels, coefficients] = [typeAt("oneVersusOneScores", inputs, 0, 2), typeAt("oneVersusOneScores", inputs, 1, 2)];
    const total = vectors.reduce((sum, count) => sum + count, 0);
    if (vectors.length < 2 || vectors.some((count) => !Number.isInteger(count) || count < 0))
      refuse("oneVersusOneScores", "its vectors are not counted by class");
    if (kernels.shape[1] !== total || coefficients.shape[1] !== total || coefficients.shape[0] !== vectors.length - 1)
      refuse("oneVersusOneScores", `its tables do not fit ${total} vectors of ${vectors.length} classes`);
    if (typeAt("oneVersusOneScores", inputs, 2, 1).shape[0] !== pairsOf(vectors.length))
      refuse("oneVersusOneScores", "it needs an offset for every pair");
    return [{ dtype: "float32", shape: [kernels.shape[0]!, pairsOf(vectors.length)] }];
  },
  loops(k, node) {
    requireFloats(node);
    const { vectors } = attributesOf<OneVersusOneAttributes>(node);
    const starts = Int32Array.from([0, ...vectors], (_, c) => vectors.slice(0, c).reduce((sum, count) => sum + count, 0));
    const [kernels, coefficients, offsets] = [k.input(0, "kernels"), k.input(1, "coefficients"), k.input(2, "offsets")];
    const start = k.constant("starts", "i32", starts);
    const output = k.output(0, "scores");
    const [total, pairs] = [k.int("vectors", starts.at(-1)!), k.int("pairs", pairsOf(vectors.length))];
    k.for("n", 0, k.int("samples", inputOf(node, 0).shape[0]!), (n) =>
      eachPair(k, vectors.length, (i, j, pair) => {
        const sum = k.variable("sum", offsets.load(pair));
        const addClass = (name: string, own: Expr, row: Expr): void =>
          k.for(name, start.load(own), start.load(own.add(1)), (m) =>
            sum.set(sum.get().add(coefficients.load(row.mul(total).add(m)).mul(kernels.load(n.mul(total).add(m))))),
          );
        addClass("a", i, j.sub(1));
        addClass("b", j, i);
        output.store(n.mul(pairs).add(pair), sum.get());
      }),
    );
    return k.finish("one_versus_one_scores_f32", "The score of every pair of classes.");
  },
  macs: (node) => inputOf(node, 0).shape[0]! * inputOf(node, 1).shape.reduce((a, b) => a * b, 1),
  cases: [
    {
      name: "float",
      attributes: { vectors: [2, 3, 0, 1] },
      inputs: [
        { dtype: "float32", shape: [3, 6] },
        { dtype: "float32", shape: [3, 6], constant: true },
        { dtype: "float32", shape: [6], constant: true },
      ],
      outputs: [{ dtype: "float32", shape: [3, 6] }],
    },
  ],
};

/** How many pairs each class wins: of scores [n, pairs] it makes [n, classes]. */
export const oneVersusOneVotes: OpDef = {
  name: "oneVersusOneVotes",
  infer(inputs) {
    const scores = typeAt("oneVersusOneVotes", inputs, 0, 2);
    return [{ dtype: "int32", shape: [scores.shape[0]!, classesOf("oneVersusOneVotes", scores)] }];
  },
  loops(k, node) {
    requireFloats(node);
    const [scores, classes] = [inputOf(node, 0), outputOf(node).shape[1]!];
    const [input, output] = [k.input(0, "scores"), k.output(0, "votes")];
    const [pairs, count] = [k.int("pairs", scores.shape[1]!), k.int("classes", classes)];
    k.for("n", 0, k.int("samples", scores.shape[0]!), (n) =>
      k.for("own", 0, count, (own) => {
        const votes = k.variable("votes", i32(0));
        k.for("other", 0, count, (other) =>
          k.if(own.ne(other), () => {
            const score = input.load(n.mul(pairs).add(pairAt(k, own.min(other), own.max(other), classes)));
            votes.set(votes.get().add(score.gt(0).eq(own.lt(other))));
          }),
        );
        output.store(n.mul(count).add(own), votes.get());
      }),
    );
    return k.finish("one_versus_one_votes_f32", "The pairs that each class wins.");
  },
  cases: [
    { name: "float", attributes: {}, inputs: [{ dtype: "float32", shape: [4, 6] }], outputs: [{ dtype: "int32", shape: [4, 4] }] },
    { name: "one pair", attributes: {}, inputs: [{ dtype: "float32", shape: [4, 1] }], outputs: [{ dtype: "int32", shape: [4, 2] }] },
  ],
};

const MOST_ROUNDS = 100;
const TOLERANCE = 0.005;
const LEAST = 1e-7;

/** The probability that the first of a pair is right, by Platt's sigmoid of its score, kept away from 0 and 1. */
function pairProbability(k: KernelBuilder, score: Expr, a: Expr, b: Expr): Expr {
  const value = k.let("value", score.mul(a).add(b));
  const v = k.let("v", f32(1).div(k.call(expFloat, value.abs().neg()).add(1)));
  const logistic = k.let("logistic", value.lt(0).select(f32(1).sub(v), v));
  return k.let(
    "probability",
    f32(1)
      .sub(logistic)
      .clamp(LEAST, 1 - LEAST),
  );
}

/** Row and column of a square. */
class Square {
  private readonly buffer: Buffer;
  private readonly size: Expr;

  constructor(buffer: Buffer, size: Expr) {
    this.buffer = buffer;
    this.size = size;
  }

  get(row: Expr, column: Expr): Expr {
    return this.buffer.load(row.mul(this.size).add(column));
  }

  set(row: Expr, column: Expr, value: Expr): void {
    this.buffer.store(row.mul(this.size).add(column), value);
  }
}

/** Q of the quadratic form whose least value the coupled probabilities give. */
function writeForm(k: KernelBuilder, count: Expr, r: Square, q: Square): void {
  k.for("t", 0, count, (t) => {
    const sum = k.variable("diagonal", f32(0));
    k.for("u", 0, count, (u) =>
      k.if(u.ne(t), () => {
        const back = k.let("back", r.get(u, t));
        sum.set(sum.get().add(back.mul(back)));
        q.set(t, u, back.mul(r.get(t, u)).neg());
      }),
    );
    q.set(t, t, sum.get());
  });
}

/**
 * Probabilities of all classes from those of pairs: of scores [n, pairs] and the two numbers of each pair's sigmoid it makes
 * [n, classes] by the second method of Wu, Lin & Weng (2004), which goes round until the optimality holds within a tolerance.
 */
export const oneVersusOneProbabilities: OpDef = {
  name: "oneVersusOneProbabilities",
  infer(inputs) {
    const scores = typeAt("oneVersusOneProbabilities", inputs, 0, 2);
    const classes = classesOf("oneVersusOneProbabilities", scores);
    for (const index of [1, 2])
      if (typeAt("oneVersusOneProbabilities", inputs, index, 1).shape[0] !== scores.shape[1])
        refuse("oneVersusOneProbabilities", "every pair needs its sigmoid");
    return [{ dtype: "float32", shape: [scores.shape[0]!, classes] }];
  },
  loops(k, node) {
    requireFloats(node);
    const [scores, classes] = [inputOf(node, 0), outputOf(node).shape[1]!];
    const [input, slopes, offsets, output] = [k.input(0, "scores"), k.input(1, "slopes"), k.input(2, "offsets"), k.output(0, "p")];
    const [count, pairs] = [k.int("classes", classes), k.int("pairs", scores.shape[1]!)];
    const [r, q] = [new Square(k.scratch("r", "f32", classes ** 2), count), new Square(k.scratch("q", "f32", classes ** 2), count)];
    const qp = k.scratch("qp", "f32", classes);
    k.for("n", 0, k.int("samples", scores.shape[0]!), (n) => {
      eachPair(k, classes, (i, j, pair) => {
        const p = pairProbability(k, input.load(n.mul(pairs).add(pair)), slopes.load(pair), offsets.load(pair));
        r.set(i, j, p);
        r.set(j, i, f32(1).sub(p));
      });
      writeForm(k, count, r, q);
      const first = k.let("first", n.mul(count));
      k.for("c", 0, count, (c) => output.store(first.add(c), k.float("even", 1 / classes)));
      couple(
        k,
        count,
        q,
        qp,
        { load: (c) => output.load(first.add(c)), store: (c, value) => output.store(first.add(c), value) },
        TOLERANCE / classes,
      );
    });
    return k.finish("one_versus_one_probabilities_f32", "Coupled probabilities of classes.");
  },
  cases: [
    {
      name: "float",
      attributes: {},
      inputs: [
        { dtype: "float32", shape: [3, 6] },
        { dtype: "float32", shape: [6], low: -3, high: -1, constant: true },
        { dtype: "float32", shape: [6], low: -0.2, high: 0.2, constant: true },
      ],
      outputs: [{ dtype: "float32", shape: [3, 4] }],
    },
  ],
};

interface Row {
  load(index: Expr): Expr;
  store(index: Expr, value: Expr): void;
}

/** Improves the probabilities p in turn, until no class is off by more than `tolerance`. */
function couple(k: KernelBuilder, count: Expr, q: Square, qp: Buffer, p: Row, tolerance: number): void {
  const done = k.variable("done", i32(0));
  k.for("round", 0, MOST_ROUNDS, () =>
    k.if(done.get().eq(0), () => {
      const form = k.variable("form", f32(0));
      k.for("t2", 0, count, (t) => {
        const sum = k.variable("sum", f32(0));
        k.for("u2", 0, count, (u) => sum.set(sum.get().add(q.get(t, u).mul(p.load(u)))));
        qp.store(t, sum.get());
        form.set(form.get().add(p.load(t).mul(sum.get())));
      });
      const error = k.variable("error", f32(0));
      k.for("t3", 0, count, (t) => error.set(error.get().max(qp.load(t).sub(form.get()).abs())));
      k.if(
        error.get().lt(k.float("tolerance", tolerance)),
        () => done.set(1),
        () => k.for("t4", 0, count, (t) => improve(k, count, q, qp, p, form, t)),
      );
    }),
  );
}

function improve(k: KernelBuilder, count: Expr, q: Square, qp: Buffer, p: Row, form: ReturnType<KernelBuilder["variable"]>, t: Expr): void {
  const own = k.let("own", q.get(t, t));
  const step = k.let("step", form.get().sub(qp.load(t)).div(own));
  const scale = k.let("scale", step.add(1));
  p.store(t, p.load(t).add(step));
  form.set(
    form
      .get()
      .add(step.mul(step.mul(own).add(qp.load(t).mul(2))))
      .div(scale)
      .div(scale),
  );
  k.for("u4", 0, count, (u) => {
    qp.store(
      u,
      qp
        .load(u)
        .add(step.mul(q.get(t, u)))
        .div(scale),
    );
    p.store(u, p.load(u).div(scale));
  });
}
