import { describe, expect, test } from "vitest";
import type { Value } from "../graph/index.ts";
import { parameterValues } from "../ops/index.ts";
import { evaluate } from "../targets/js/index.ts";
import { channelShuffle, squeezeExcite } from "./blocks.ts";
import { gru, lstm } from "./index.ts";
import { TrainableLayers } from "./trainable-layers.ts";

/** What a block makes of one map, and the block's parameters by name. */
function run(shape: readonly number[], x: readonly number[], block: (net: TrainableLayers, x: Value) => Value): [number[], Map<string, number[]>] {
  const net = new TrainableLayers("block", {});
  const graph = net.build(block(net, net.input("x", shape)), "");
  const parameters = parameterValues(graph).map(({ name, data }): [string, number[]] => [name, [...(data as Float32Array)]]);
  return [[...(evaluate(graph, [Float32Array.from(x)])[0] as Float32Array)], new Map(parameters)];
}

const logistic = (x: number): number => 1 / (1 + Math.exp(-x));
const hardSigmoid = (x: number): number => Math.min(6, Math.max(0, x + 3)) / 6;
const dot = (weights: readonly number[], row: number, x: readonly number[]): number =>
  x.reduce((sum, value, i) => sum + weights[row * x.length + i]! * value, 0);

function expectClose(got: readonly number[], expected: readonly number[]): void {
  expect(got.length).toBe(expected.length);
  expected.forEach((value, i) => expect(got[i]).toBeCloseTo(value, 5));
}

describe("blocks", () => {
  test("the channel shuffle deals groups out in turn", () => {
    const shuffle = (groups: number): number[] =>
      run([1, 1, 2, 6], [0, 1, 2, 3, 4, 5, 10, 11, 12, 13, 14, 15], (net, x) => channelShuffle(net, "shuffle", x, groups))[0];
    expect(shuffle(2)).toEqual([0, 3, 1, 4, 2, 5, 10, 13, 11, 14, 12, 15]);
    expect(shuffle(3)).toEqual([0, 2, 4, 1, 3, 5, 10, 12, 14, 11, 13, 15]);
  });

  test.each([
    ["logistic", "swish", logistic, (x: number) => x * logistic(x)],
    ["hardSigmoid", "relu", hardSigmoid, (x: number) => Math.max(0, x)],
  ] as const)("squeeze and excite: each channel times its %s gate", (gate, activation, gateOf, activated) => {
    const x = [1, -2, 3, 5, 4, -1, 0.5, 2];
    const [got, parameters] = run([1, 2, 1, 4], x, (net, map) => squeezeExcite(net, "se", map, { squeezed: 2, activation, gate }));
    const averages = [0, 1, 2, 3].map((c) => (x[c]! + x[c + 4]!) / 2);
    const small = [0, 1].map((row) => activated(dot(parameters.get("se_squeeze_weights")!, row, averages)));
    const gates = [0, 1, 2, 3].map((row) => gateOf(dot(parameters.get("se_excite_weights")!, row, small)));
    expectClose(
      got,
      x.map((value, i) => value * gates[i % 4]!),
    );
  });
});

test("a GRU: each step mixes the last state with a candidate", () => {
  const [length, units, features] = [3, 2, 3];
  const graph = gru({ length, units, inputChannels: features, classes: 2 });
  const of = (name: string): number[] => [...(graph.values.find((value) => value.name === name)!.data as Float32Array)];
  const x = [0.5, -1, 2, 1, 0.25, -0.5, -2, 1, 1];
  let h = [0, 0];
  for (let t = 0; t < length; t++) {
    const reading = x.slice(t * features, (t + 1) * features);
    const [input, recurrent] = [of("input_weights"), of("recurrent_weights")];
    h = h.map((last, u) => {
      const [z, r] = [0, 1].map((gate) => logistic(dot(input, gate * units + u, reading) + dot(recurrent, gate * units + u, h))) as [number, number];
      const candidate = Math.tanh(dot(input, 2 * units + u, reading) + r * dot(recurrent, 2 * units + u, h));
      return z * last + (1 - z) * candidate;
    });
  }
  const logits = of("logits_weights");
  expectClose([...(evaluate(graph, [Float32Array.from(x)])[0] as Float32Array)], [dot(logits, 0, h), dot(logits, 1, h)]);
});

test("an LSTM: each step forgets some of its memory, takes in a candidate and shows some", () => {
  const [length, units, features] = [3, 2, 3];
  const graph = lstm({ length, units, inputChannels: features, classes: 2 });
  const of = (name: string): number[] => [...(graph.values.find((value) => value.name === name)!.data as Float32Array)];
  const x = [0.5, -1, 2, 1, 0.25, -0.5, -2, 1, 1];
  let h = [0, 0];
  const memory = [0, 0];
  for (let t = 0; t < length; t++) {
    const reading = x.slice(t * features, (t + 1) * features);
    const sum = (row: number): number => dot(of("input_weights"), row, reading) + dot(of("recurrent_weights"), row, h);
    h = h.map((_, u) => {
      // The forget gate's bias is 1.
      memory[u] = logistic(sum(units + u) + 1) * memory[u]! + logistic(sum(u)) * Math.tanh(sum(2 * units + u));
      return logistic(sum(3 * units + u)) * Math.tanh(memory[u]!);
    });
  }
  const logits = of("logits_weights");
  expectClose([...(evaluate(graph, [Float32Array.from(x)])[0] as Float32Array)], [dot(logits, 0, h), dot(logits, 1, h)]);
});
