import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { boardById } from "../boards/index.ts";
import { type LayerReport, measureFootprint } from "../driver/index.ts";
import type { Graph } from "../graph/index.ts";
import type { ProjectConfig } from "../project/index.ts";
import { type CurvePoint, type Decibels, type LayerNoise, type NetworkStep, STEP_NAMES } from "../report/index.ts";
import type { Jury, Verdict } from "./judge.ts";
import { TRAINING_FILE } from "./project-files.ts";

/** A step of a project and the configuration that it was done with. */
export interface ProjectStep extends NetworkStep {
  readonly config: ProjectConfig;
}

type Plain = Readonly<Record<string, unknown>>;
const isObject = (value: unknown): value is Plain => typeof value === "object" && value !== null && !Array.isArray(value);
const isReal = (value: unknown): boolean => Number.isFinite(value);
const orNull = (value: unknown): boolean => value === null || isReal(value);
const isDecibels = (value: unknown): boolean => value === "exact" || value === "lost" || isReal(value);
const isText = (value: unknown): boolean => typeof value === "string";

/** Fields of an object, each with its check. */
function has(value: unknown, fields: Readonly<Record<string, (field: unknown) => boolean>>): boolean {
  return isObject(value) && Object.entries(fields).every(([name, check]) => check(value[name]));
}

const listOf =
  (fields: Parameters<typeof has>[1]) =>
  (value: unknown): boolean =>
    Array.isArray(value) && value.every((each) => has(each, fields));

const FOOTPRINT = {
  core: (value: unknown) => value === null || isText(value),
  macs: isReal,
  arenaBytes: isReal,
  weightBytes: isReal,
  sparse: listOf({ name: isText, op: isText, tableBytes: isReal, packedBytes: isReal, time: isReal, stored: isText }),
  codeBytes: orNull,
  stackBytes: orNull,
  instructions: orNull,
};

const STEP: Readonly<Record<keyof NetworkStep, (value: unknown) => boolean>> = {
  step: (value) => (STEP_NAMES as readonly unknown[]).includes(value),
  file: isText,
  judgedOn: isText,
  samples: isReal,
  accuracy: isReal,
  footprint: (value) => has(value, FOOTPRINT),
  epochs: listOf({ epoch: isReal, loss: isReal, accuracy: isReal, validation: orNull }),
  noise: listOf({ name: isText, op: isText, domain: isText, snrDb: isDecibels, ownSnrDb: isDecibels }),
  zeros: listOf({ weights: isText, zeros: isReal, of: isReal }),
};

/** What was done to a project's network so far; nothing is known where the file is missing or damaged. */
export async function readHistory(folder: string): Promise<ProjectStep[]> {
  try {
    const { steps } = JSON.parse(await readFile(join(folder, TRAINING_FILE), "utf8")) as { steps?: unknown };
    return Array.isArray(steps) && steps.every((step) => has(step, STEP)) ? steps : [];
  } catch {
    return [];
  }
}

/** A step undoes itself and whatever was made from its result. */
export function withStep(history: readonly ProjectStep[], step: ProjectStep): ProjectStep[] {
  const rank = (each: NetworkStep): number => STEP_NAMES.indexOf(each.step);
  return [...history.filter((each) => rank(each) < rank(step)), step];
}

export function historyText(classes: readonly string[], steps: readonly ProjectStep[]): string {
  return `${JSON.stringify({ classes, steps }, null, 1)}\n`;
}

function decibelsOf(value: number): Decibels {
  if (value === Number.POSITIVE_INFINITY) return "exact";
  return value === Number.NEGATIVE_INFINITY ? "lost" : value;
}

export function noiseOf(layers: readonly LayerReport[]): LayerNoise[] {
  return layers.map(({ name, op, domain, snrDb, ownSnrDb }) => ({ name, op, domain, snrDb: decibelsOf(snrDb), ownSnrDb: decibelsOf(ownSnrDb) }));
}

/** What a step has beside what is measured here. */
export interface StepDetails {
  readonly step: NetworkStep["step"];
  readonly epochs?: readonly CurvePoint[];
  readonly noise?: readonly LayerNoise[];
  readonly zeros?: NetworkStep["zeros"];
}

/** A judged network as a step of its project, with what it takes on the configuration's board. */
export async function stepOf(graph: Graph, { network }: Verdict, jury: Jury, config: ProjectConfig, details: StepDetails): Promise<ProjectStep> {
  return {
    epochs: [],
    noise: [],
    zeros: [],
    ...details,
    file: network.file,
    judgedOn: jury.name,
    samples: network.samples,
    accuracy: network.accuracy,
    footprint: await measureFootprint(graph, config.board === null ? null : boardById(config.board)),
    config,
  };
}
