import { expect, test } from "vitest";
import { Xorshift32 } from "../../base/index.ts";
import { foldOrder } from "./order.ts";

function unfold({ entries, sections }: ReturnType<typeof foldOrder>): number[] {
  return sections.flatMap(({ from, length, times }) => Array.from({ length: times }, () => entries.slice(from, from + length)).flat());
}

test("a folded order gives the order back", () => {
  const random = new Xorshift32(5);
  for (let i = 0; i < 200; i++) {
    const parts = Array.from({ length: random.int(1, 5) }, () => {
      const part = Array.from({ length: random.int(1, 9) }, () => random.int(0, 3));
      return Array.from({ length: random.int(1, 20) }, () => part).flat();
    });
    const order = parts.flat();
    expect(unfold(foldOrder(order))).toEqual(order);
  }
});

test("rows that are alike cost one of them", () => {
  const order = [9, ...Array.from({ length: 40 }, () => [1, 2, 3, 4, 5]).flat(), 7];
  const { entries, sections } = foldOrder(order);
  expect(entries).toEqual([9, 1, 2, 3, 4, 5, 7]);
  expect(sections).toHaveLength(3);
});
