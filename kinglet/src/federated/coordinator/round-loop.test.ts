import { expect, test } from "vitest";
import { DEFAULT_RULES } from "./plan.ts";
import { drawEach, roundSize, verdict } from "./round-loop.ts";
import type { StoredRound } from "./store.ts";

const ROUND: StoredRound = {
  round: 1,
  version: 0,
  status: "open",
  opened: 0,
  deadline: 100,
  ended: null,
  wanted: 4,
  selected: 6,
  ready: 9,
  step: null,
};

test("a round waits, closes or is given up", () => {
  const after = (asked: number, answered: number, now: number, isPrivate = false): string =>
    verdict(ROUND, { asked, answered, declined: 6 - asked - answered, bytes: 0 }, { minimum: 2, isPrivate }, now);
  expect(after(6, 0, 0)).toBe("wait");
  expect(after(3, 3, 99)).toBe("wait");
  // As many as were wanted, or nobody is left, or the time is over.
  expect(after(2, 4, 0)).toBe("close");
  expect(after(0, 2, 0)).toBe("close");
  expect(after(4, 2, 100)).toBe("close");
  // With privacy nobody's answer keeps another one's out.
  expect(after(1, 5, 0, true)).toBe("wait");
  expect(after(0, 5, 0, true)).toBe("close");
  expect(after(1, 5, 100, true)).toBe("close");
  // The same with too few.
  expect(after(0, 1, 0)).toBe("give up");
  expect(after(5, 1, 100)).toBe("give up");
});

test("a round asks a share of those who are ready, and some to spare", () => {
  const rules = { ...DEFAULT_RULES, share: 0.1, minimum: 3, spare: 1.5 };
  expect(roundSize(rules, 2000)).toEqual({ wanted: 200, selected: 300 });
  expect(roundSize(rules, 10)).toEqual({ wanted: 3, selected: 5 });
  expect(roundSize(rules, 4)).toEqual({ wanted: 3, selected: 4 });
  expect(roundSize({ ...rules, share: 1 }, 4)).toEqual({ wanted: 4, selected: 4 });
});

test("with privacy each client is drawn by itself", () => {
  const ready = Array.from({ length: 1000 }, (_, i) => i + 1);
  const rounds = Array.from({ length: 40 }, () => drawEach(ready, 100));
  const sizes = rounds.map(({ length }) => length);
  // 4,000 are expected of 40,000; a tenth of that away is 6.7 standard deviations.
  const total = sizes.reduce((sum, size) => sum + size, 0);
  expect(Math.abs(total - 4000)).toBeLessThan(400);
  expect(new Set(sizes).size).toBeGreaterThan(1);
  expect(drawEach(ready, 1000)).toEqual(ready);
});
