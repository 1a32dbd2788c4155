import { KingletError } from "../base/index.ts";
import type { Dataset } from "../data/browser.ts";
import type { Graph } from "../graph/index.ts";
import { parameterValues } from "../ops/index.ts";
import { evaluateOn } from "../train/browser.ts";
import { LocalTrainer, type LocalTraining } from "./local.ts";

/** A client's samples: some to learn from, the others to judge what it learned. */
export interface OwnSamples {
  readonly learned: Int32Array;
  readonly judged: Int32Array;
}

/** What a head of its own gives a client, on its own judged samples. */
export interface PersonalReport {
  readonly client: number;
  readonly network: Graph;
  readonly samples: number;
  /** Accuracy of the common network, and of the client's own. */
  readonly before: number;
  readonly after: number;
}

/**
 * Cuts a client's samples class by class: the first `share` of each, in the order of the data set, to learn from, the others to judge.
 * Windows that reach into a judged one are left out, so that no instant lies on both sides.
 * @throws KingletError `misuse` for a share that leaves nothing.
 */
export function ownSamples(dataset: Dataset, positions: Int32Array, share: number): OwnSamples {
  if (!(share > 0 && share < 1)) throw new KingletError("misuse", `the share of samples to learn from lies between 0 and 1, not at ${share}`);
  const { labels, recordings, starts } = dataset.index;
  const { shape } = dataset.info;
  const length = shape.length === 2 ? shape[0]! : 0;
  const [learned, judged]: [number[], number[]] = [[], []];
  for (const label of new Set(Array.from(positions, (position) => labels[position]!))) {
    const own = [...positions].filter((position) => labels[position] === label).sort((a, b) => a - b);
    const border = own[Math.round(share * own.length)];
    const apart = (position: number): boolean =>
      border === undefined || recordings[position] !== recordings[border] || starts[position]! + length <= starts[border]!;
    for (const position of own) {
      if (border !== undefined && position >= border) judged.push(position);
      else if (apart(position)) learned.push(position);
    }
  }
  return { learned: Int32Array.from(learned).sort(), judged: Int32Array.from(judged).sort() };
}

/** Names of what the last layer with parameters learns. */
function headOf(network: Graph): ReadonlySet<string> {
  const parameters = new Set(parameterValues(network));
  const last = network.nodes.findLast(({ inputs }) => inputs.some((value) => value !== null && parameters.has(value)));
  return new Set(last?.inputs.flatMap((value) => (value !== null && parameters.has(value) ? [value.name] : [])));
}

const JUDGED_AT_ONCE = 32;

/**
 * Gives each client a last layer of its own, trained on its own samples from the common one; all before it stays common (the part of
 * Arivazhagan et al. 2019, arXiv 1912.00818, that needs no federation). Clients with nothing to learn from or to judge are left out.
 * @throws KingletError what training throws.
 */
export async function personalise(
  network: Graph,
  dataset: Dataset,
  clients: readonly OwnSamples[],
  local: LocalTraining,
  seed = 1,
): Promise<PersonalReport[]> {
  const head = headOf(network);
  const trainer = new LocalTrainer(network, { ...local, frozen: (name) => !head.has(name) });
  const parameters = trainer.initialParameters();
  const judge = async (own: Float32Array, judged: Int32Array): Promise<number> =>
    (await evaluateOn(trainer.networkWith(own, JUDGED_AT_ONCE), dataset, judged, local.normalization)).accuracy;
  const reports: PersonalReport[] = [];
  for (const [client, { learned, judged }] of clients.entries()) {
    if (learned.length === 0 || judged.length === 0) continue;
    const { delta } = await trainer.train(dataset, learned, client, { parameters, seed: seed * 1_000_003 + client, round: 0 });
    const own = parameters.map((x, i) => x + delta[i]!);
    const [before, after] = [await judge(parameters, judged), await judge(own, judged)];
    reports.push({ client, network: trainer.networkWith(own, 1), samples: judged.length, before, after });
  }
  return reports;
}

/** Shares of all clients' judged samples together that the common network and their own ones recognise. */
export function personalAccuracy(reports: readonly PersonalReport[]): { readonly before: number; readonly after: number } {
  const samples = reports.reduce((sum, each) => sum + each.samples, 0);
  const overall = (of: "before" | "after"): number => reports.reduce((sum, each) => sum + each.samples * each[of], 0) / samples;
  return { before: overall("before"), after: overall("after") };
}
