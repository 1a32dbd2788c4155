import { KingletError } from "../base/index.ts";
import type { Dataset, Split } from "../data/index.ts";
import type { Graph } from "../graph/index.ts";
import { parameterValues } from "../ops/index.ts";
import type { ClassifierOptions, Distillation } from "../train/index.ts";

/** What a configuration may ask of training beside the usual; nothing of it is done by default. */
export interface TrainingChoices extends Pick<ClassifierOptions, "labelSmoothing" | "mixup" | "averageDecay" | "dropout" | "clipNorm"> {
  /** How much each class counts: all the same in sum where "balanced", or numbers by the classes' names, 1 for those not named. */
  readonly classWeights?: "balanced" | Readonly<Record<string, number>>;
  /** Layers whose parameters stay as they are, by name; "*" stands for any text. */
  readonly freeze?: readonly string[];
  /** How a teacher teaches; `kinglet distill` names it. */
  readonly distill?: Omit<Distillation, "teacher">;
}

/** Names of the choices about a training itself: what changes them makes another training. */
export const CHOICES = [
  "labelSmoothing",
  "mixup",
  "averageDecay",
  "dropout",
  "clipNorm",
  "classWeights",
  "freeze",
] as const satisfies readonly (keyof TrainingChoices)[];

function weightsOf(choice: NonNullable<TrainingChoices["classWeights"]>, { info, index }: Dataset, { train }: Split): number[] {
  const { classes } = info;
  if (choice === "balanced") {
    const counts = new Array<number>(classes.length).fill(0);
    for (const position of train) counts[index.labels[position]!]!++;
    return counts.map((count) => (count === 0 ? 1 : train.length / (classes.length * count)));
  }
  const unknown = Object.keys(choice).find((name) => !classes.includes(name));
  if (unknown !== undefined)
    throw new KingletError("bad-input", `classWeights names "${unknown}", which is no class of the data set`, {
      hint: `Classes: ${classes.slice(0, 20).join(", ")}.`,
    });
  return classes.map((name) => choice[name] ?? 1);
}

/** Whether a name is meant by a pattern in which "*" stands for any text. */
function isMeant(name: string, pattern: string): boolean {
  const pieces = pattern.split("*").map((piece) => piece.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  return new RegExp(`^${pieces.join(".*")}$`, "s").test(name);
}

/** Names of the parameters that the named layers read. */
function frozenIn(network: Graph, patterns: readonly string[]): ReadonlySet<string> {
  const parameters = new Set(parameterValues(network));
  const names = new Set<string>();
  for (const pattern of patterns) {
    const layers = network.nodes.filter(({ name }) => isMeant(name, pattern));
    if (layers.length === 0)
      throw new KingletError("bad-input", `freeze names "${pattern}", and the network has no such layer`, {
        hint: "kinglet inspect --json lists their names.",
      });
    for (const value of layers.flatMap(({ inputs }) => inputs)) if (value !== null && parameters.has(value)) names.add(value.name);
  }
  return names;
}

/** The choices as training takes them. @throws KingletError `bad-input` for classes and layers that there are not. */
export function choicesFor(
  { labelSmoothing, mixup, averageDecay, dropout, clipNorm, classWeights, freeze }: TrainingChoices,
  network: Graph,
  dataset: Dataset,
  split: Split,
): Partial<ClassifierOptions> {
  const frozen = freeze === undefined ? undefined : frozenIn(network, freeze);
  return {
    ...(labelSmoothing === undefined ? {} : { labelSmoothing }),
    ...(mixup === undefined ? {} : { mixup }),
    ...(averageDecay === undefined ? {} : { averageDecay }),
    ...(dropout === undefined ? {} : { dropout }),
    ...(clipNorm === undefined ? {} : { clipNorm }),
    ...(classWeights === undefined ? {} : { classWeights: weightsOf(classWeights, dataset, split) }),
    ...(frozen === undefined ? {} : { frozen: (name: string) => frozen.has(name) }),
  };
}
