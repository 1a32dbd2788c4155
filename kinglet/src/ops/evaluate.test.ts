import { describe, expect, it } from "vitest";
import type { Node, Value } from "../graph/index.ts";
import { evaluateNode } from "./evaluate.ts";

const value = (name: string, data?: Float32Array): Value => ({ id: 0, name, dtype: "float32", shape: [2], data });

describe("evaluating one node", () => {
  it("runs a kernel that is called as one of its helpers is", () => {
    const [a, b] = [Float32Array.of(4, 346.12), Float32Array.of(0.5, 0.5)];
    const node: Node = { op: "pow", name: "p", inputs: [value("a", a), value("b", b)], outputs: [value("y")], attributes: {} };
    const [y] = evaluateNode(node, [a, b]);
    expect(y![0]).toBeCloseTo(2, 6);
    expect(y![1]).toBeCloseTo(Math.sqrt(346.12), 4);
  });

  it("sees unsigned numbers of 32 bits as the loops do", () => {
    const x = Uint32Array.of(2 ** 32 - 1, 7);
    const input: Value = { id: 0, name: "x", dtype: "uint32", shape: [2], data: x };
    const output: Value = { id: 1, name: "y", dtype: "int64", shape: [2] };
    expect(evaluateNode({ op: "cast", name: "c", inputs: [input], outputs: [output], attributes: { dtype: "int64" } }, [x])).toEqual([
      BigInt64Array.of(2n ** 32n - 1n, 7n),
    ]);
  });
});
