import { expect, test } from "vitest";
import { GraphBuilder } from "../graph/index.ts";
import { applyOp } from "../ops/index.ts";
import { updateEarly } from "./update-early.ts";

test("an update goes behind its gradient and the last reader of what it changes", () => {
  const builder = new GraphBuilder("step");
  const type = { dtype: "float32", shape: [2] } as const;
  const [x, rate] = [builder.input("x", type), builder.input("rate", { dtype: "float32", shape: [1] })];
  const [a, b] = ["a", "b"].map((name) => builder.variable(name, type));
  const add = (name: string, left: typeof x, right: typeof x): typeof x => applyOp(builder, "add", [left, right], { activation: "none" }, name)[0]!;
  const first = add("gradient of a", x, x);
  const reader = add("reads a", first, a!);
  const second = add("gradient of b", reader, b!);
  builder.output(add("end", second, x));
  builder.node("descentUpdate", [a!, first, rate], [], { weightDecay: 0 }, "update a");
  builder.node("descentUpdate", [b!, second, rate], [], { weightDecay: 0 }, "update b");
  expect(updateEarly(builder.build()).nodes.map(({ name }) => name)).toEqual([
    "gradient of a",
    "reads a",
    "update a",
    "gradient of b",
    "update b",
    "end",
  ]);
});
