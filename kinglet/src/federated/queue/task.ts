import { bytesOf, fromBytes } from "../../base/index.ts";
import { augmentsOf, type Dataset } from "../../data/index.ts";
import { readKinglet, writeKinglet } from "../../formats/index.ts";
import type { Graph } from "../../graph/index.ts";
import { ClientFile } from "../client-file.ts";
import type { Description } from "../protocol/index.ts";
import { simulate, type Simulation, type SimulationOptions } from "../simulate.ts";
import type { Packed } from "./packed.ts";
import { turns } from "./turns.ts";

/** A simulation's options as far as they are data. */
export interface SimulationPlan
  extends Pick<SimulationOptions, "strategy" | "rounds" | "share" | "seed" | "compression" | "privacy" | "secure" | "until"> {
  readonly local: Description["local"];
  /** Changes of samples by name (`Augmentation` of a project). */
  readonly augmentation: Readonly<Record<string, number>>;
}

/** A whole simulation, ready to be done anywhere. */
export interface SimulationTask {
  readonly network: Graph;
  /** The positions that each client holds. */
  readonly clients: readonly Int32Array[];
  /** Those that the network is judged on. */
  readonly test: Int32Array;
  readonly plan: SimulationPlan;
}

/** Does it in this process, which stays awake; what clients remember lies in a temporary file. @throws KingletError what `simulate` throws. */
export async function simulateTask(
  { network, clients, test, plan }: SimulationTask,
  dataset: Dataset,
  more: Pick<SimulationOptions, "training" | "onRound"> & { readonly signal: AbortSignal },
): Promise<Simulation> {
  const { local, augmentation, ...options } = plan;
  const memories = await ClientFile.open();
  try {
    const about = { ...options, test, memories, local: { ...local, augment: augmentsOf(augmentation) } };
    return await simulate(network, dataset, clients, { ...about, ...more, onStep: turns(more.signal) });
  } finally {
    await memories.close();
  }
}

interface TaskHeader {
  readonly plan: SimulationPlan;
  /** Samples of each client. */
  readonly sizes: readonly number[];
}

export function packTask({ network, clients, test, plan }: SimulationTask): Packed<TaskHeader> {
  const all = new Int32Array(clients.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const positions of clients) {
    all.set(positions, at);
    at += positions.length;
  }
  return { header: { plan, sizes: clients.map(({ length }) => length) }, parts: [writeKinglet(network), bytesOf(all), bytesOf(test)] };
}

export function unpackTask({ header, parts }: Packed<unknown>): SimulationTask {
  const { plan, sizes } = header as TaskHeader;
  const [all, test] = [fromBytes("int32", parts[1]!) as Int32Array, fromBytes("int32", parts[2]!) as Int32Array];
  let at = 0;
  return { network: readKinglet(parts[0]!, "the simulation's network"), clients: sizes.map((size) => all.subarray(at, (at += size))), test, plan };
}
