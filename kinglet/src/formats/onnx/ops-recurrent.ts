import type { Value } from "../../graph/index.ts";
import { add, clip, compare, mul, select, sub } from "./math.ts";
import { dense, matmul } from "./ops-matrix.ts";
import { concatenated, sliced } from "./ops-movement.ts";
import type { Rule, Site } from "./site.ts";

/** Longer sequences would become as many nodes. */
const MOST_STEPS = 1024;

type Activation = (x: Value) => Value;

function activationNamed(site: Site, name: string, alpha: number | undefined, beta: number | undefined): Activation {
  switch (name.toLowerCase()) {
    case "sigmoid":
      return (x) => site.emit("logistic", [x]);
    case "tanh":
      return (x) => site.emit("tanh", [x]);
    case "relu":
      return (x) => site.emit("relu", [x]);
    case "affine":
      return (x) => add(site, mul(site, x, alpha ?? 1), beta ?? 0);
    case "leakyrelu":
      return (x) => site.emit("leakyRelu", [x], { alpha: alpha ?? 0.01 });
    case "hardsigmoid":
      return (x) => clip(site, add(site, mul(site, x, alpha ?? 0.2), beta ?? 0.5), 0, 1);
    default:
      return site.unsupported(`the activation ${name} of a recurrent layer is not supported`);
  }
}

/** One direction of a recurrent layer: everything that its steps share. */
interface Direction {
  readonly size: number;
  /** W [gates · size, input], R [gates · size, size], and the biases of both. */
  readonly w: Value;
  readonly r: Value;
  readonly wBias: Value | null;
  readonly rBias: Value | null;
  readonly peephole: Value | null;
  readonly activations: readonly Activation[];
}

type States = readonly Value[];
/** One step: the input's share of all gates [n, gates · size] and the states before, to the states after. The first is the output. */
type Cell = (site: Site, d: Direction, x: Value, states: States) => States;

const product = (site: Site, x: Value, weights: Value, bias: Value | null): Value => {
  if (weights.data !== undefined && (bias === null || bias.data !== undefined)) return dense(site, x, weights, bias);
  const y = matmul(site, x, weights, false, true);
  return bias === null ? y : add(site, y, bias);
};

const gate = (site: Site, d: Direction, all: Value, index: number): Value => sliced(site, all, all.shape.length - 1, index * d.size, d.size);

const rnnCell: Cell = (site, d, x, [h]) => [d.activations[0]!(add(site, x, product(site, h!, d.r, d.rBias)))];

function gruCell(linearBeforeReset: boolean): Cell {
  return (site, d, x, [h]) => {
    const [f, g] = d.activations as [Activation, Activation];
    const rows = (from: number, count: number): Value => sliced(site, d.r, 0, from * d.size, count * d.size);
    const biases = (from: number, count: number): Value | null => (d.rBias === null ? null : sliced(site, d.rBias, 0, from * d.size, count * d.size));
    const gates = product(site, h!, rows(0, 2), biases(0, 2));
    const z = f(add(site, gate(site, d, x, 0), gate(site, d, gates, 0)));
    const r = f(add(site, gate(site, d, x, 1), gate(site, d, gates, 1)));
    const hidden = linearBeforeReset
      ? mul(site, r, product(site, h!, rows(2, 1), biases(2, 1)))
      : product(site, mul(site, r, h!), rows(2, 1), biases(2, 1));
    const candidate = g(add(site, gate(site, d, x, 2), hidden));
    return [add(site, mul(site, sub(site, 1, z), candidate), mul(site, z, h!))];
  };
}

/** Gates come in the order input, output, forget, cell. */
function lstmCell(clipAt: number | undefined, coupled: boolean): Cell {
  return (site, d, x, [h, c]) => {
    const [f, g, last] = d.activations as [Activation, Activation, Activation];
    const all = add(site, x, product(site, h!, d.r, d.rBias));
    const bounded = (value: Value): Value => (clipAt === undefined ? value : clip(site, value, -clipAt, clipAt));
    const peeped = (value: Value, index: number, state: Value): Value =>
      d.peephole === null ? value : add(site, value, mul(site, sliced(site, d.peephole, 0, index * d.size, d.size), state));
    const input = f(bounded(peeped(gate(site, d, all, 0), 0, c!)));
    const forget = coupled ? sub(site, 1, input) : f(bounded(peeped(gate(site, d, all, 2), 2, c!)));
    const cell = add(site, mul(site, forget, c!), mul(site, input, g(bounded(gate(site, d, all, 3)))));
    const output = f(bounded(peeped(gate(site, d, all, 1), 1, cell)));
    return [mul(site, output, last(cell)), cell];
  };
}

interface Layer {
  readonly gates: number;
  readonly states: number;
  readonly defaults: readonly string[];
  readonly cell: Cell;
}

/** x, y [length, n, …]: runs one direction, and gives all outputs and the last states. Rows stop at their own lengths. */
function runDirection(
  site: Site,
  layer: Layer,
  d: Direction,
  x: Value,
  initial: States,
  lengths: Value | null,
  backward: boolean,
): { outputs: Value; last: States } {
  const [length, n] = x.shape as [number, number];
  const shares = product(site, x, d.w, d.wBias);
  const outputs: Value[] = [];
  let states = initial;
  for (let i = 0; i < length; i++) {
    const step = backward ? length - 1 - i : i;
    const share = site.reshape(sliced(site, shares, 0, step, 1), [n, shares.shape[2]!]);
    let next = layer.cell(site, d, share, states);
    let output = next[0]!;
    if (lengths !== null) {
      const running = compare(site, "greater", lengths, step);
      output = select(site, running, output, site.importer.numbers(0, "float32"));
      next = next.map((value, s) => select(site, running, value, states[s]!));
    }
    states = next;
    outputs[step] = site.reshape(output, [1, 1, n, d.size]);
  }
  return { outputs: concatenated(site, outputs, 0), last: states };
}

function recurrent(site: Site, layer: Layer): (Value | null)[] {
  const batchFirst = site.int("layout", 0) !== 0;
  const x = batchFirst ? site.transpose(site.input(0), [1, 0, 2]) : site.input(0);
  const [length, n] = x.shape as [number, number];
  if (length > MOST_STEPS) site.unsupported(`a sequence of ${length} steps is too long: layers are written out step by step, up to ${MOST_STEPS}`);
  const [w, r] = [site.input(1), site.input(2)];
  const size = site.int("hidden_size", r.shape[2]!);
  const count = w.shape[0]!;
  const kind = site.text("direction", "forward");
  const names = site.texts("activations") ?? [];
  const pick = (value: Value | null, d: number): Value | null =>
    value === null ? null : site.reshape(sliced(site, value, 0, d, 1), value.shape.slice(1));
  const lengthsGiven = site.optional(4);
  const lengths = lengthsGiven === null ? null : site.reshape(site.cast(lengthsGiven, "int32"), [n, 1]);
  const initialOf = (index: number, d: number): Value => {
    const given = site.optional(index);
    if (given === null) return site.constant(new Float32Array(n * size), "float32", [n, size]);
    return pick(batchFirst ? site.transpose(given, [1, 0, 2]) : given, d)!;
  };
  const runs = Array.from({ length: count }, (_, d) => {
    const bias = pick(site.optional(3), d);
    const half = layer.gates * size;
    const direction: Direction = {
      size,
      w: pick(w, d)!,
      r: pick(r, d)!,
      wBias: bias === null ? null : sliced(site, bias, 0, 0, half),
      rBias: bias === null ? null : sliced(site, bias, 0, half, half),
      peephole: layer.states === 2 ? pick(site.optional(7), d) : null,
      activations: layer.defaults.map((otherwise, i) => {
        const at = d * layer.defaults.length + i;
        return activationNamed(site, names[at] ?? otherwise, site.floats("activation_alpha")?.[at], site.floats("activation_beta")?.[at]);
      }),
    };
    const initial = Array.from({ length: layer.states }, (_, s) => initialOf(5 + s, d));
    return runDirection(site, layer, direction, x, initial, lengths, kind === "reverse" || d === 1);
  });
  const y = concatenated(
    site,
    runs.map((run) => run.outputs),
    1,
  );
  const lasts = Array.from({ length: layer.states }, (_, s) => {
    const last = concatenated(
      site,
      runs.map((run) => site.reshape(run.last[s]!, [1, n, size])),
      0,
    );
    return batchFirst ? site.transpose(last, [1, 0, 2]) : last;
  });
  return [batchFirst ? site.transpose(y, [2, 0, 1, 3]) : y, ...lasts];
}

const lstm: Rule = (site) => {
  const cell = lstmCell(site.has("clip") ? site.float("clip", 0) : undefined, site.int("input_forget", 0) !== 0);
  return recurrent(site, { gates: 4, states: 2, defaults: ["Sigmoid", "Tanh", "Tanh"], cell });
};

const gru: Rule = (site) => {
  if (site.has("clip")) site.unsupported("a GRU that clips is not supported");
  return recurrent(site, { gates: 3, states: 1, defaults: ["Sigmoid", "Tanh"], cell: gruCell(site.int("linear_before_reset", 0) !== 0) });
};

const rnn: Rule = (site) => {
  if (site.has("clip")) site.unsupported("an RNN that clips is not supported");
  return recurrent(site, { gates: 1, states: 1, defaults: ["Tanh"], cell: rnnCell });
};

export const RECURRENT: Readonly<Record<string, Rule>> = { LSTM: lstm, GRU: gru, RNN: rnn };
