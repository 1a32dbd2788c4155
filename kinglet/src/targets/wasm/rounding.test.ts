import { describe, expect, it } from "vitest";
import { Xorshift32 } from "../../base/index.ts";
import { compileHelper } from "../../loops/index.ts";
import { quantizeMultiplier, requantize } from "../../ops/index.ts";
import { singleKernel, TestModule } from "../../loops/wasm-testing.ts";
import { vectorLoad } from "../../loops/index.ts";
import { planRequantization } from "./requantize.ts";
import { applyRounding, type ChannelReach, decidingSums, proveRounding, requantizeExact } from "./rounding.ts";

const definition = compileHelper(requantize);
const random = new Xorshift32(5);

function reach(scale: number, size: number, resultLow: number, resultHigh: number): ChannelReach {
  return { low: -size, high: size + 7, multiplier: quantizeMultiplier(scale), resultLow, resultHigh };
}

function wanted(c: ChannelReach, sum: number): number {
  return Math.min(c.resultHigh, Math.max(c.resultLow, definition(sum, c.multiplier.multiplier, c.multiplier.shift)));
}

/** A scale such as layers have: results change every few to every few thousand sums. */
function someScale(): number {
  return 2 ** (-random.int(10, 120) / 10);
}

describe("requantization in doubles", () => {
  it("is the definition, near ties too", () => {
    for (let turn = 0; turn < 20000; turn++) {
      const m = quantizeMultiplier(2 ** (-random.int(-20, 200) / 10));
      const tie = Math.round((random.int(-200, 200) + 0.5) / (m.multiplier * 2 ** (m.shift - 31)));
      const sum = (turn % 2 === 0 ? tie : 0) + random.int(-3000, 3000);
      if (Math.abs(sum) * 2 ** Math.max(0, m.shift) >= 2 ** 31) continue;
      expect(requantizeExact(sum, m)).toBe(definition(sum, m.multiplier, m.shift));
    }
  });
});

describe("the float form", () => {
  it.each([
    ["clamped at 0", false, 0, 255],
    ["with the sign of the sum", true, -131, 124],
  ] as const)("%s equals the definition for every sum, where it is proved", (_, signed, low, high) => {
    let proved = 0;
    for (let turn = 0; turn < 60; turn++) {
      const scale = someScale();
      const c = reach(scale, Math.round(300 / scale), low, high);
      const form = proveRounding(c, signed);
      if (form === undefined) continue;
      proved++;
      const result = (sum: number): number => Math.min(high, Math.max(low, applyRounding(form, sum, signed)));
      for (let sum = c.low; sum <= c.high; sum++) if (result(sum) !== wanted(c, sum)) throw new Error(`sum ${sum} of scale ${scale}`);
    }
    expect(proved).toBeGreaterThan(40);
  });

  it("is not claimed where none of the candidates holds", () => {
    // The two roundings of the definition move the steps of positive and negative results apart.
    expect(proveRounding(reach(0.0123, 10000, -128, 127), false)).toBeUndefined();
  });

  it("is decided by both ends and both sides of every step", () => {
    const c = reach(0.1, 100, -5, 5);
    const sums = decidingSums(c);
    expect(sums.slice(0, 2)).toEqual([-100, 107]);
    for (let sum = c.low + 1; sum <= c.high; sum++) {
      if (wanted(c, sum) !== wanted(c, sum - 1)) expect(sums).toEqual(expect.arrayContaining([sum - 1, sum]));
    }
  });

  it("of a channel whose result never changes is that result", () => {
    const form = proveRounding(reach(1e-9, 1000, -128, 127), true)!;
    expect(applyRounding(form, 2 ** 31 - 1, true)).toBe(0);
    expect(applyRounding(form, -(2 ** 31), true)).toBe(0);
  });
});

describe("requantization by vectors", () => {
  const table = (name: string, reaches: readonly ChannelReach[]): void => {
    const bias = new Int32Array(4);
    const plan = planRequantization(bias, reaches)!;
    const sums = Int32Array.from({ length: 4000 }, (_, i) => {
      const c = reaches[i % 4]!;
      const deciding = decidingSums(c);
      return i % 3 === 0 ? deciding[i % deciding.length]! : c.low + Math.floor(((c.high - c.low) * random.int(0, 10000)) / 10000);
    });
    const cleared = sums.map((sum, i) => (plan.cleared[i % 4] ? 0 : sum) + plan.bias[i % 4]!);
    const names: string[] = [];
    const program = singleKernel([{ type: "i32", length: sums.length }], { type: "i32", length: sums.length }, (k) => {
      const [from, to] = [k.input(0, "from"), k.output(0, "to")];
      const { load, apply } = plan.tables(k, 0);
      const loaded = load(k.int("zero", 0));
      k.for(
        "i",
        0,
        sums.length,
        (i) => k.emit({ kind: "vectorStore", buffer: to, index: i, value: apply(vectorLoad("i32x4", from, i), loaded), form: "full" }),
        4,
      );
      const instance = k.finish("rescale", "");
      names.push(...instance.func.params.map((param) => param.name));
      return instance;
    });
    const got = new TestModule(program).run(cleared) as Int32Array;
    got.forEach((value, i) => {
      const c = reaches[i % 4]!;
      expect(Math.min(c.resultHigh, Math.max(c.resultLow, value)), `channel ${i % 4}, sum ${sums[i]}`).toBe(wanted(c, sums[i]!));
    });
    expect(names).toContain(name);
  };

  it("takes single precision where all channels are proved", () => {
    table(
      "scale",
      [0.01, 0.02, 0.003, 1e-9].map((scale) => reach(scale, 20000, 0, 255)),
    );
  });

  it("takes 64-bit products where one is not, with shifts of both directions and channels that never change", () => {
    const unproved = Array.from({ length: 400 }, (_, i) => 2 ** (-i / 37)).find(
      (scale) => proveRounding(reach(scale, 90000, -120, 135), true) === undefined,
    )!;
    table(
      "factor",
      [unproved, 1.7, 0.0011, 1e-9].map((scale) => reach(scale, 90000, -120, 135)),
    );
  });

  it("is left to the plain loops where neither holds", () => {
    expect(planRequantization(new Int32Array(1), [{ ...reach(3, 2 ** 30, -128, 127) }])).toBeUndefined();
  });
});
