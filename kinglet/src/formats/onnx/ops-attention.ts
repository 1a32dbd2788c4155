import { elementCount } from "../../base/index.ts";
import type { Value } from "../../graph/index.ts";
import { add, compare, div, mul, select, sub } from "./math.ts";
import { matmul } from "./ops-matrix.ts";
import { concatenated, sliced, unsqueezed } from "./ops-movement.ts";
import { convOf } from "./ops-conv.ts";
import { padded } from "./ops-resize.ts";
import type { Rule, Site } from "./site.ts";

/** [batch, length, heads · size] as [batch, heads, length, size]. */
function asHeads(site: Site, x: Value, heads: number): Value {
  if (x.shape.length === 4) return x;
  const [n, length, all] = x.shape as [number, number, number];
  return site.transpose(site.reshape(x, [n, length, heads, all / heads]), [0, 2, 1, 3]);
}

/** Each head of keys and values serves several heads of queries. */
function repeated(site: Site, x: Value, times: number): Value {
  if (times === 1) return x;
  const [n, heads, length, size] = x.shape as [number, number, number, number];
  const spread = site.emit("broadcastTo", [unsqueezed(site, x, [2])], { shape: [n, heads, times, length, size] });
  return site.reshape(spread, [n, heads * times, length, size]);
}

/** What is added to the scores: 0, or −∞ where a key must not be seen. */
function bias(site: Site, mask: Value | null, queries: number, keys: number, past: number): Value | null {
  const terms: Value[] = [];
  if (mask !== null) {
    const short = keys - mask.shape[mask.shape.length - 1]!;
    const float =
      mask.dtype === "bool"
        ? select(site, mask, site.importer.numbers(0, "float32"), site.importer.numbers(-Infinity, "float32"))
        : site.cast(mask, "float32");
    const ends = float.shape.map((_, d) => (d === float.shape.length - 1 ? short : 0));
    const nothing = float.shape.map(() => 0);
    const far = site.importer.numbers(-3.4028234663852886e38, "float32");
    terms.push(short > 0 ? padded(site, float, nothing, ends, "constant", far) : float);
  }
  if (site.int("is_causal", 0) !== 0) {
    const seen = Float32Array.from({ length: queries * keys }, (_, i) => (i % keys <= Math.floor(i / keys) + past ? 0 : -Infinity));
    terms.push(site.constant(seen, "float32", [queries, keys]));
  }
  return terms.length === 0 ? null : terms.reduce((a, b) => add(site, a, b));
}

/** Keys behind the end of a row's own length are not seen. */
function lengthBias(site: Site, lengths: Value, keys: number): Value {
  const ends = site.reshape(site.cast(lengths, "int32"), [lengths.shape[0]!, 1, 1, 1]);
  const positions = site.importer.numbers(
    Array.from({ length: keys }, (_, i) => i),
    "int32",
  );
  const hidden = compare(site, "greaterEqual", positions, ends);
  return select(site, hidden, site.importer.numbers(-Infinity, "float32"), site.importer.numbers(0, "float32"));
}

/** A row without any visible key gives zeros, not a division of nothing by nothing. */
function guardedSoftmax(site: Site, scores: Value, masked: boolean): Value {
  const y = site.emit("softmax", [masked ? site.emit("maximum", [scores, site.importer.numbers(-3.4028234663852886e38, "float32")]) : scores], {
    beta: 1,
  });
  return y;
}

function attention(site: Site): (Value | null)[] {
  const flat = site.input(0).shape.length === 3;
  const q = asHeads(site, site.input(0), site.int("q_num_heads", 1));
  const heads = site.int("kv_num_heads", 1);
  const [newKey, newValue] = [asHeads(site, site.input(1), heads), asHeads(site, site.input(2), heads)];
  const [pastKey, pastValue] = [site.optional(4), site.optional(5)];
  const key = pastKey === null ? newKey : concatenated(site, [pastKey, newKey], 2);
  const value = pastValue === null ? newValue : concatenated(site, [pastValue, newValue], 2);
  const times = q.shape[1]! / key.shape[1]!;
  const scale = site.float("scale", 1 / Math.sqrt(q.shape[3]!));
  const [queries, keys] = [q.shape[2]!, key.shape[2]!];
  const raw = mul(site, matmul(site, q, repeated(site, key, times), false, true), scale);
  const cap = site.float("softcap", 0);
  const capped = cap === 0 ? raw : mul(site, site.emit("tanh", [div(site, raw, cap)]), cap);
  const lengths = site.optional(6);
  const past = pastKey === null ? 0 : pastKey.shape[2]!;
  const added = bias(site, site.optional(3), queries, keys, past);
  if (lengths !== null && site.int("is_causal", 0) !== 0) site.unsupported("causal attention over rows of different lengths is not supported");
  const all = lengths === null ? added : added === null ? lengthBias(site, lengths, keys) : add(site, added, lengthBias(site, lengths, keys));
  const scores = all === null ? capped : add(site, capped, all);
  const shares = guardedSoftmax(site, scores, all !== null);
  const y = matmul(site, shares, repeated(site, value, times));
  const [n, qHeads, length, size] = y.shape as [number, number, number, number];
  const joined = flat ? site.reshape(site.transpose(y, [0, 2, 1, 3]), [n, length, qHeads * size]) : y;
  return [joined, key, value, [raw, capped, scores, shares][site.int("qk_matmul_output_mode", 0)] ?? null];
}

/** Turns pairs of elements by angles that grow with the position (Su et al., arXiv 2104.09864). */
function rotary(site: Site): Value {
  const x = site.input(0);
  const flat = x.shape.length === 3;
  const heads = site.int("num_heads", 0);
  const [n, length] = flat ? (x.shape as [number, number]) : [x.shape[0]!, x.shape[2]!];
  // [n, length, heads, size]
  const rows = flat ? site.reshape(x, [n, length, heads, x.shape[2]! / heads]) : site.transpose(x, [0, 2, 1, 3]);
  const size = rows.shape[3]!;
  const turned = site.int("rotary_embedding_dim", 0) || size;
  const table = (index: number): Value => {
    const cache = site.input(index);
    const positions = site.optional(3);
    const picked = positions === null ? cache : site.emit("gather", [cache, positions], { axis: 0, batchDims: 0 });
    return unsqueezed(site, sliced(site, picked, 2, 0, turned / 2), [2]);
  };
  const [cosine, sine] = [table(1), table(2)];
  const interleaved = site.int("interleaved", 0) !== 0;
  const first = sliced(site, rows, 3, 0, turned);
  const pairs = interleaved
    ? site.reshape(first, [...first.shape.slice(0, 3), turned / 2, 2])
    : site.reshape(first, [...first.shape.slice(0, 3), 2, turned / 2]);
  const axis = interleaved ? 4 : 3;
  const half = (i: number): Value => site.reshape(sliced(site, pairs, axis, i, 1), [...first.shape.slice(0, 3), turned / 2]);
  const [a, b] = [half(0), half(1)];
  const real = unsqueezed(site, sub(site, mul(site, cosine, a), mul(site, sine, b)), [axis]);
  const imaginary = unsqueezed(site, add(site, mul(site, sine, a), mul(site, cosine, b)), [axis]);
  const result = site.reshape(concatenated(site, [real, imaginary], axis), first.shape);
  const whole = turned === size ? result : concatenated(site, [result, sliced(site, rows, 3, turned, size - turned)], 3);
  return flat ? site.reshape(whole, x.shape) : site.transpose(whole, [0, 2, 1, 3]);
}

/** A depthwise convolution along time that sees what came before, and gives what the next call needs of it. */
function causalConv(site: Site): Value[] {
  const [x, w, bias, past] = [site.input(0), site.input(1), site.optional(2), site.optional(3)];
  const [channels, size] = [x.shape[1]!, w.shape[2]!];
  const longer =
    past !== null && elementCount(past.shape) > 0 ? concatenated(site, [past, x], 2) : padded(site, x, [0, 0, size - 1], [0, 0, 0], "constant", null);
  const plan = { kernel: [size], strides: [1], dilations: [1], before: [0], after: [0], extra: [0] };
  const y = convOf(site, longer, w, bias, plan, channels);
  const silu = ["silu", "swish"].includes(site.text("activation", "none"));
  const state = sliced(site, longer, 2, longer.shape[2]! - (size - 1), size - 1);
  return [silu ? mul(site, y, site.emit("logistic", [y])) : y, state];
}

export const ATTENTION: Readonly<Record<string, Rule>> = { Attention: attention, RotaryEmbedding: rotary, CausalConvWithState: causalConv };
