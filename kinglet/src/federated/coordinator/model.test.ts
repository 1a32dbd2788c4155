import { expect, test } from "vitest";
import { fromBytes } from "../../base/index.ts";
import { STRATEGIES } from "../strategy.ts";
import { frameOf, KEYS, tinyPlan } from "./coordinator-testing.ts";
import { FederatedModel } from "./model.ts";
import { countedFor } from "./plan.ts";
import type { StoredModel, StoredRound } from "./store.ts";

const ROUND: StoredRound = {
  round: 1,
  version: 0,
  status: "open",
  opened: 0,
  deadline: 9,
  ended: null,
  wanted: 2,
  selected: 2,
  ready: 2,
  step: null,
};
const MOST = 2 ** 32 - 1;

/** A client's claims, and the number that all of its update is. */
interface Sent {
  readonly value: number;
  readonly samples: number;
  readonly steps: number;
}

async function* framesOf(sent: readonly Sent[], length: number): AsyncIterable<{ client: number; frame: Uint8Array }> {
  for (const [i, { value, samples, steps }] of sent.entries())
    yield { client: i + 1, frame: frameOf(ROUND, new Float32Array(length).fill(value), samples, steps) };
}

function after(model: FederatedModel, ...sent: readonly Sent[]): ReturnType<FederatedModel["next"]> {
  const about = { round: ROUND, clients: 2, time: 0, mostSamples: 1000 };
  return model.next(model.first(0), new Map(), framesOf(sent, model.form.length), about);
}

function moved(model: FederatedModel, { body }: StoredModel): number {
  const [now, before] = [body, model.first(0).body].map((bytes) => fromBytes("float32", bytes) as Float32Array) as [Float32Array, Float32Array];
  return Math.max(...now.map((x, i) => Math.abs(x - before[i]!)));
}

test("samples and steps count as far as a client may have them", () => {
  const local = { epochs: 2, batchSize: 8 };
  expect(countedFor({ samples: 60, steps: 16 }, local, 1000)).toEqual({ samples: 60, steps: 16 });
  // A device takes a step for each sample.
  expect(countedFor({ samples: 60, steps: 120 }, local, 1000)).toEqual({ samples: 60, steps: 16 });
  expect(countedFor({ samples: MOST, steps: MOST }, local, 1000)).toEqual({ samples: 1000, steps: 250 });
});

test.each(["fedavg", "fednova"] as const)("%s: who claims billions of samples and steps is not the whole mean", async (name) => {
  const model = new FederatedModel(tinyPlan({ strategy: STRATEGIES[name] }), KEYS);
  const honest = { value: 0, samples: 1000, steps: 250 };
  const { model: next } = await after(model, honest, { value: 1, samples: MOST, steps: MOST });
  expect(moved(model, next)).toBeCloseTo(0.5, 5);
});

test("updates that make the optimizer's memory infinite give no version", async () => {
  const model = new FederatedModel(tinyPlan({ strategy: STRATEGIES.fedadam }), KEYS);
  await expect(after(model, { value: 1e30, samples: 1, steps: 1 })).rejects.toThrow(/not finite/);
});
