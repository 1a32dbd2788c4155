import { ACTIVITIES_IMPORT, ACTIVITIES_PLACES, activitiesNetwork } from "../../examples/shared/activities.ts";
import { type Dataset, type Fold, kFolds, motionScale, rotate3d } from "../../kinglet/src/data/index.ts";
import {
  type LocalTraining,
  ownSamples,
  partition,
  personalAccuracy,
  personalise,
  type PersonalReport,
  simulate,
} from "../../kinglet/src/federated/index.ts";
import { evaluateOn, type StepOptions, trainClassifier } from "../../kinglet/src/train/index.ts";
import { percent, progress, type Result, type Row, withData } from "./row.ts";

/** A quarter of the people is judged in each, whom neither the pooled network nor the federation has seen. */
const FOLDS = 4;
const SEED = 1;
const STEP: StepOptions & Pick<LocalTraining, "augment"> = {
  optimizer: { kind: "adam", weightDecay: 1e-4, decoupled: true },
  augment: [rotate3d(15), motionScale(0.1)],
};
const POOLED = { epochs: 6, batchSize: 32, schedule: { kind: "oneCycle", rate: 0.005 } } as const;
/** A quarter of the people in a round: more would make the mean steadier, not faster. Pooled training slows down to its end, and so does this. */
const FEDERATED = { rounds: 120, share: 0.25, local: { ...STEP, epochs: 2, batchSize: 16, rate: 0.005, rateDecay: 0.98 } } as const;
/** The last versions of a federation differ by points, and their average does not. */
const AVERAGE_DECAY = 0.9;
/** On the first half of each activity of a person, in time; the second half judges. */
const PERSONAL = { share: 0.5, local: { ...STEP, epochs: 20, batchSize: 16, rate: 0.005 } } as const;

/** The most that a federation may lose against pooled data, and the least that heads of their own must win. */
const [LOSS, WIN] = [0.03, 0.05];

interface FoldResult {
  readonly pooled: number;
  readonly federated: number;
  readonly people: readonly PersonalReport[];
}

async function measureFold(dataset: Dataset, { name, train, test }: Fold): Promise<FoldResult> {
  const { labels, groups } = dataset.index;
  const people = (positions: Int32Array): Int32Array[] => partition({ positions, labels, groups }, { kind: "group" });
  const split = { train, validation: new Int32Array(0), test };
  const network = await activitiesNetwork(dataset, train, SEED);
  const { network: pooledNetwork } = await trainClassifier(network, dataset, split, { ...STEP, ...POOLED, seed: SEED });
  const pooled = (await evaluateOn(pooledNetwork, dataset, test)).accuracy;
  progress(`wisdm, fold ${name}: pooled ${percent(pooled)}`);
  const federation = await simulate(network, dataset, people(train), {
    strategy: { combination: { kind: "mean" }, server: { kind: "average" }, averageDecay: AVERAGE_DECAY },
    ...FEDERATED,
    seed: SEED,
    test,
    onRound: ({ round, accuracy }) => progress(`wisdm, fold ${name}: round ${round}, ${percent(accuracy)}`),
  });
  const own = people(test).map((positions) => ownSamples(dataset, positions, PERSONAL.share));
  const reports = await personalise(federation.network, dataset, own, PERSONAL.local, SEED);
  const { before, after } = personalAccuracy(reports);
  progress(`wisdm, fold ${name}: personal ${percent(before)} to ${percent(after)}`);
  return { pooled, federated: federation.evaluation.accuracy, people: reports };
}

const mean = (numbers: readonly number[]): number => numbers.reduce((sum, each) => sum + each, 0) / numbers.length;

async function measure(dataset: Dataset): Promise<Result> {
  const folds: FoldResult[] = [];
  for (const fold of kFolds(dataset, FOLDS, { by: "group" })) folds.push(await measureFold(dataset, fold));
  const [pooled, federated] = [mean(folds.map((each) => each.pooled)), mean(folds.map((each) => each.federated))];
  const { before, after } = personalAccuracy(folds.flatMap(({ people }) => people));
  return {
    goal: `federated at most ${percent(LOSS)} below pooled; own heads at least ${percent(WIN)} better`,
    got: `${percent(federated)} and ${percent(pooled)}; ${percent(before)} to ${percent(after)}`,
    met: federated >= pooled - LOSS && after >= before + WIN,
    figures: { pooled, federated, before, after, folds: folds.map(({ people, ...each }) => ({ ...each, ...personalAccuracy(people) })) },
  };
}

/** WISDM, a client for each person: federation against pooled data, and heads of people's own against the common one. */
export const WISDM_ROW: Row = {
  name: "wisdm",
  measure: async (data) => await withData(data, ACTIVITIES_PLACES, ACTIVITIES_IMPORT, measure),
};
