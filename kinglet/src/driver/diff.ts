import { bytesOf, elementCount, KingletError } from "../base/index.ts";
import type { Graph, Node, Value } from "../graph/index.ts";
import { storedNumbers } from "../ops/index.ts";
import { FLOAT_TOLERANCE } from "./compare.ts";

import { createValueRunner, realNumbers } from "./quantize/index.ts";
import type { Sample } from "./tensors.ts";

/** A value that a node produces, and what it held in the run. */
interface Produced {
  readonly node: Node;
  readonly value: Value;
  readonly numbers: Float32Array;
}

/** One value in both networks, in real numbers. */
export interface ValuePair {
  readonly a: Place;
  readonly b: Place;
  readonly pairedBy: "name" | "place";
  readonly shape: readonly number[];
  /** Both have one element type and one quantization. */
  readonly storedAlike: boolean;
  readonly largestDifference: number;
  /** The largest difference as a share of the largest magnitude in A. */
  readonly share: number;
  readonly equalElements: number;
  readonly elements: number;
  readonly parts: boolean;
}

export interface Place {
  readonly node: string;
  readonly op: string;
  readonly value: string;
  readonly dtype: string;
}

export interface GraphDiff {
  readonly pairs: readonly ValuePair[];
  /** Values that the other network has nothing like. */
  readonly alone: { readonly a: readonly Place[]; readonly b: readonly Place[] };
  /** The first pair that parts, in A's order; null where none does. */
  readonly first: ValuePair | null;
}

export interface DiffOptions {
  /** Values part where their largest difference is more than this share of A's largest magnitude. The default: see `partingShare`. */
  readonly tolerance?: number;
}

/** Two networks that store a value in different ways never agree better than the coarser one's steps. */
const UNLIKE_TOLERANCE = 0.1;

/** Values of one kind part at any other integer, floats beyond what a schedule may change; of different kinds at a tenth. */
function partingShare(a: Value, storedAlike: boolean): number {
  if (!storedAlike) return UNLIKE_TOLERANCE;
  return a.dtype === "float32" ? FLOAT_TOLERANCE : 0;
}

function run(graph: Graph, sample: Sample): Produced[] {
  return createValueRunner(graph).run(sample, (read) =>
    graph.nodes.flatMap((node) =>
      node.outputs.flatMap((value) => {
        const numbers = read(value);
        return numbers === undefined ? [] : [{ node, value, numbers: numbers.slice() }];
      }),
    ),
  );
}

/** The sample as the other network's inputs store it. @throws KingletError `bad-input` where they are other inputs */
function sampleOf(b: Graph, a: Graph, sample: Sample): Sample {
  if (a.inputs.length !== b.inputs.length)
    throw new KingletError("bad-input", `the networks have ${a.inputs.length} and ${b.inputs.length} inputs: they cannot be run on the same ones`);
  return b.inputs.map((input, i) => {
    const given = a.inputs[i]!;
    if (elementCount(given.shape) !== elementCount(input.shape))
      throw new KingletError("bad-input", `input ${i} is [${given.shape.join(",")}] in one network and [${input.shape.join(",")}] in the other`);
    return storedAlike(given, input) ? sample[i]! : bytesOf(storedNumbers(input, realNumbers(given, sample[i]!)));
  });
}

function storedAlike(a: Value, b: Value): boolean {
  const scales = (value: Value): string => JSON.stringify([value.quantization?.scales, value.quantization?.zeroPoints]);
  return a.dtype === b.dtype && (a.dtype === "float32" || scales(a) === scales(b));
}

/** Values with one name that only one node of each network has, and as many elements. */
function pairByName(a: readonly Produced[], b: readonly Produced[]): Map<Produced, Produced> {
  const unique = (list: readonly Produced[]): Map<string, Produced | null> => {
    const byName = new Map<string, Produced | null>();
    for (const each of list) byName.set(each.value.name, byName.has(each.value.name) ? null : each);
    return byName;
  };
  const [left, right] = [unique(a), unique(b)];
  const pairs = new Map<Produced, Produced>();
  for (const [name, each] of left) {
    const other = right.get(name);
    if (each && other && each.numbers.length === other.numbers.length) pairs.set(each, other);
  }
  return pairs;
}

/** Pairs the rest by shape, in the order of both: the longest sequence of shapes that they have in common. */
function pairByPlace(a: readonly Produced[], b: readonly Produced[]): [Produced, Produced][] {
  const keys = (list: readonly Produced[]): string[] => list.map(({ value }) => value.shape.join());
  const [left, right] = [keys(a), keys(b)];
  const width = b.length + 1;
  const longest = new Uint32Array((a.length + 1) * width);
  for (let i = a.length - 1; i >= 0; i--)
    for (let j = b.length - 1; j >= 0; j--)
      longest[i * width + j] =
        left[i] === right[j] ? longest[(i + 1) * width + j + 1]! + 1 : Math.max(longest[(i + 1) * width + j]!, longest[i * width + j + 1]!);
  const pairs: [Produced, Produced][] = [];
  for (let i = 0, j = 0; i < a.length && j < b.length; ) {
    if (left[i] === right[j]) pairs.push([a[i++]!, b[j++]!]);
    else if (longest[(i + 1) * width + j]! >= longest[i * width + j + 1]!) i++;
    else j++;
  }
  return pairs;
}

function placeOf({ node, value }: Produced): Place {
  return { node: node.name, op: node.op, value: value.name, dtype: value.dtype };
}

function compare(a: Produced, b: Produced, pairedBy: ValuePair["pairedBy"], tolerance: number | undefined): ValuePair {
  let [largestDifference, largest, equalElements] = [0, 0, 0];
  a.numbers.forEach((x, i) => {
    const y = b.numbers[i]!;
    if (Object.is(x, y) || x === y) equalElements++;
    else largestDifference = Math.max(largestDifference, Number.isNaN(x - y) ? Number.POSITIVE_INFINITY : Math.abs(x - y));
    if (Number.isFinite(x)) largest = Math.max(largest, Math.abs(x));
  });
  const share = largestDifference === 0 ? 0 : largest === 0 ? Number.POSITIVE_INFINITY : largestDifference / largest;
  const alike = storedAlike(a.value, b.value);
  return {
    a: placeOf(a),
    b: placeOf(b),
    pairedBy,
    shape: a.value.shape,
    storedAlike: alike,
    largestDifference,
    share,
    equalElements,
    elements: a.numbers.length,
    parts: share > (tolerance ?? partingShare(a.value, alike)),
  };
}

/**
 * Runs two networks on one sample (as the first takes it) and compares them value by value in real numbers, to show where
 * they part. Values are paired by name, the others by shape in the order of both graphs.
 * @throws KingletError `bad-input` where they do not take the same inputs
 */
export function diffGraphs(a: Graph, b: Graph, sample: Sample, { tolerance }: DiffOptions = {}): GraphDiff {
  const left = run(a, sample);
  const right = run(b, sampleOf(b, a, sample));
  const named = pairByName(left, right);
  const taken = new Set(named.values());
  const placed = pairByPlace(
    left.filter((each) => !named.has(each)),
    right.filter((each) => !taken.has(each)),
  );
  const byPlace = new Map(placed);
  const pairs = left.flatMap((each): ValuePair[] => {
    const other = named.get(each) ?? byPlace.get(each);
    return other === undefined ? [] : [compare(each, other, named.has(each) ? "name" : "place", tolerance)];
  });
  const met = new Set([...taken, ...byPlace.values()]);
  return {
    pairs,
    alone: {
      a: left.filter((each) => !named.has(each) && !byPlace.has(each)).map(placeOf),
      b: right.filter((each) => !met.has(each)).map(placeOf),
    },
    first: pairs.find(({ parts }) => parts) ?? null,
  };
}
