import { describe, expect, test } from "vitest";
import { Xorshift32 } from "../base/index.ts";
import { type Graph, GraphBuilder, type Value } from "../graph/index.ts";
import { type Act, rowFormOf, type Sequence, sequenceOf } from "./index.ts";

const QUANTIZED = { scales: [0.1], zeroPoints: [3], axis: 0 };

/** A chain of windows over an image of one column and one channel; only the rows matter here. */
function windows(height: number, sizes: readonly { filter: number; stride: number; pad: number }[], skip = false): Graph {
  const b = new GraphBuilder("rows");
  let value = b.input("x", { dtype: "int8", shape: [1, height, 1, 1], quantization: QUANTIZED });
  const first = value;
  sizes.forEach(({ filter, stride, pad }, i) => {
    const rows = Math.floor((value.shape[1]! + 2 * pad - filter) / stride) + 1;
    const y = b.value(`y${i}`, { dtype: "int8", shape: [1, rows, 1, 1], quantization: QUANTIZED });
    const attributes = { strideH: stride, strideW: 1, padTop: pad, padBottom: pad, padLeft: 0, padRight: 0, activation: "none" };
    const weights = b.constant(`w${i}`, { dtype: "int8", shape: [1, filter, 1, 1] }, new Int8Array(filter));
    b.node("conv2d", [value, weights], [y], attributes);
    value = y;
  });
  if (skip) {
    const y = b.value("sum", { dtype: "int8", shape: value.shape, quantization: QUANTIZED });
    b.node("add", [first, value], [y], { activation: "none" });
    value = y;
  }
  b.output(value);
  return b.build();
}

function rowsThatMeet(line: readonly (number | null)[], firstRow: number, count: number): (number | null)[] {
  return Array.from({ length: count }, (_, i) => line[firstRow + i] ?? null);
}

/** Plays a sequence with row numbers in place of rows: every read must find the rows that the node needs. */
function play(graph: Graph, sequence: Sequence, streamed: Value | undefined): void {
  const forms = graph.nodes.map((node) => rowFormOf(node)!);
  const lines = new Map([...sequence.lines].map(([id, { rows }]): [number, (number | null)[]] => [id, new Array<number | null>(rows).fill(null)]));
  const made = new Map<number, number[]>();
  let came = 0;
  const act: { [K in Act["kind"]]: (a: Extract<Act, { kind: K }>) => void } = {
    move: ({ value, from, to, rows }) => {
      const line = lines.get(value.id)!;
      const moved = line.slice(from, from + rows);
      moved.forEach((row, i) => {
        line[to + i] = row;
      });
      for (let i = to + rows; i < from + rows; i++) line[i] = null;
    },
    await: ({ value }) => {
      const line = lines.get(value.id)!;
      line[line.length - 1] = came++;
    },
    run: ({ form, row, to, reads }) => {
      const { node, needs } = forms[form]!;
      reads.forEach((read, i) => {
        const [need, value] = [needs[i], node.inputs[i]!];
        if (read === undefined || !need || value === null) return;
        const first = row * need.stride - need.padTop;
        const count = need.reach - read.edge.above - read.edge.below;
        const expected = Array.from({ length: count }, (_, k) => first + read.edge.above + k);
        expect(read.edge).toEqual({ above: Math.max(0, -first), below: Math.max(0, first + need.reach - value.shape[1]!) });
        const line = lines.get(value.id);
        if (line !== undefined) expect(rowsThatMeet(line, read.firstRow, count)).toEqual(expected);
        else if (made.has(value.id)) expect(made.get(value.id)).toEqual(expect.arrayContaining(expected));
        else expect(read.firstRow).toBe(expected[0]);
      });
      const y = node.outputs[0]!;
      const line = lines.get(y.id);
      if (line !== undefined) line[to] = row;
      else made.set(y.id, [...(made.get(y.id) ?? []), row]);
    },
    begin: () => {},
    finish: () => {},
  };
  for (const each of sequence.acts) (act[each.kind] as (a: Act) => void)(each);
  if (streamed !== undefined) expect(came).toBe(streamed.shape[1]);
  const output = graph.outputs[0]!;
  expect(made.get(output.id)).toEqual(Array.from({ length: output.shape[1]! }, (_, i) => i));
}

describe("a sequence of rows", () => {
  test.each([true, false])("gives every node the rows it needs, whatever the windows (moved early: %s)", (moveEarly) => {
    const random = new Xorshift32(7);
    for (let i = 0; i < 200; i++) {
      const sizes = Array.from({ length: random.int(1, 4) }, () => {
        const filter = random.int(1, 5);
        return { filter, stride: random.int(1, 2), pad: random.int(0, filter - 1) };
      });
      const graph = windows(random.int(80, 120), sizes);
      const forms = graph.nodes.map((node) => rowFormOf(node)!);
      for (const streamed of [undefined, graph.inputs[0]!]) play(graph, sequenceOf(forms, { streamed, moveEarly }), streamed);
      const kept = new Set([graph.nodes[0]!.outputs[0]!.id]);
      play(graph, sequenceOf(forms, { kept, moveEarly }), undefined);
    }
  });

  test.each([true, false])("keeps rows for a sum until the other path has come (moved early: %s)", (moveEarly) => {
    const same = { filter: 3, stride: 1, pad: 1 };
    const graph = windows(12, [same, same], true);
    const forms = graph.nodes.map((node) => rowFormOf(node)!);
    const streamed = graph.inputs[0]!;
    const sequence = sequenceOf(forms, { streamed, moveEarly });
    play(graph, sequence, streamed);
    // Row r of the sum waits for row r + 1 of the first convolution, which waits for row r + 2 of the input.
    expect(sequence.lines.get(streamed.id)!.rows).toBe(3);
  });

  test("needs no more rows than a window", () => {
    const graph = windows(20, [
      { filter: 3, stride: 2, pad: 1 },
      { filter: 5, stride: 1, pad: 2 },
      { filter: 1, stride: 1, pad: 0 },
    ]);
    const forms = graph.nodes.map((node) => rowFormOf(node)!);
    const { lines } = sequenceOf(forms);
    expect([...lines.values()].map(({ rows }) => rows)).toEqual([5, 1]);
  });
});
