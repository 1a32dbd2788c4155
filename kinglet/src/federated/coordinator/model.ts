import { bytesOf, fromBytes, KingletError } from "../../base/index.ts";
import { readKinglet, writeKinglet } from "../../formats/browser.ts";
import { LocalTrainer, localTraining } from "../local.ts";
import { secureNoise } from "../privacy.ts";
import { decodeUpdate, type Description, type ProjectKeys, projectOf, sha256Hex, sign, type UpdateForm, updateNumbers } from "../protocol/index.ts";
import { afterMean, beginningState, checkSecure, Round, type RoundResult, type RoundState } from "../round.ts";
import { checkSecureRules } from "../secure/index.ts";
import { countedFor, type FederationPlan, type RoundRules } from "./plan.ts";
import type { Frames, Memory, StoredModel, StoredRound } from "./store.ts";

const CLIP = "clip";
const SERVER = "server/";
/** The moving average of versions, in `Memory`. */
export const AVERAGE = "average";

/** A version, and what the coordinator remembers with it. */
export interface NextVersion {
  readonly model: StoredModel;
  readonly memory: Memory;
}

const numbersOf = (bytes: Uint8Array): Float32Array => fromBytes("float32", bytes) as Float32Array;

/** What a federation learns: from updates to signed versions of its model. It keeps nothing from one version to the next. */
export class FederatedModel {
  readonly description: Description;
  /** The `.kinglet` file with the network and the weights of version 0. */
  readonly network: Uint8Array;
  readonly form: UpdateForm;
  private readonly plan: FederationPlan;
  private readonly keys: ProjectKeys;
  private readonly trainer: LocalTrainer;

  /** @throws KingletError `misuse` for plans that cannot be, what the training step throws. */
  constructor(plan: FederationPlan, keys: ProjectKeys) {
    this.plan = plan;
    this.keys = keys;
    beginningState(plan);
    if (plan.secure !== undefined) {
      checkSecure(plan, plan.compression);
      checkSecureRules(plan.secure);
    }
    const control = plan.strategy.control === true;
    const local = localTraining(plan);
    this.network = writeKinglet(plan.network);
    this.trainer = new LocalTrainer(readKinglet(this.network, plan.name), local, { corrected: control });
    const { length } = this.trainer;
    const { name, classes, augmentation, compression, secure } = plan;
    this.form = { length, coding: secure === undefined ? compression : { kind: "masked" }, control };
    const network = { sha256: sha256Hex(this.network), bytes: this.network.length };
    const project = projectOf(keys.publicKey);
    const learning = { local, augmentation, compression, control, ...(secure === undefined ? {} : { secure }) };
    this.description = { project, name, protocol: 1, length, classes: [...classes], ...learning, network };
  }

  /** What must be the same for a federation to go on, as JSON. */
  agreed(): string {
    const { name, local, augmentation, compression, network, project } = this.description;
    const { strategy, privacy = null, secure, seed } = this.plan;
    return JSON.stringify({ project, name, network: network.sha256, local, augmentation, strategy, privacy, compression, secure, seed });
  }

  private stored(version: number, parameters: Float32Array, control: Float32Array | undefined, time: number): StoredModel {
    const body = new Uint8Array(parameters.byteLength + (control?.byteLength ?? 0));
    body.set(bytesOf(parameters));
    if (control !== undefined) body.set(bytesOf(control), parameters.byteLength);
    const { project, length } = this.description;
    const claims = { project, version, length, control: control !== undefined, sha256: sha256Hex(body), time };
    return { version, manifest: sign("manifest", claims, this.keys.secretKey), body };
  }

  /** Version 0. */
  first(time: number): StoredModel {
    return this.stored(0, this.trainer.initialParameters(), this.form.control ? new Float32Array(this.form.length) : undefined, time);
  }

  private parametersOf({ body }: StoredModel): Float32Array {
    return numbersOf(body.subarray(0, 4 * this.form.length));
  }

  private stateOf({ version, body }: StoredModel, memory: Memory): RoundState {
    const server = [...memory].filter(([name]) => name.startsWith(SERVER));
    const [clip, average] = [memory.get(CLIP), memory.get(AVERAGE)];
    return {
      version,
      average: average === undefined ? undefined : numbersOf(average),
      server: new Map(server.map(([name, data]) => [name.slice(SERVER.length), numbersOf(data)])),
      control: this.form.control ? numbersOf(body.subarray(4 * this.form.length)) : undefined,
      clip: clip === undefined ? beginningState(this.plan).clip : (fromBytes("float64", clip) as Float64Array)[0]!,
    };
  }

  /** The version after a round. @throws KingletError what `combine` throws where a rule needs more updates than there are. */
  async next(
    base: StoredModel,
    memory: Memory,
    frames: Frames,
    about: { readonly round: StoredRound; readonly clients: number; readonly time: number } & Pick<RoundRules, "mostSamples">,
  ): Promise<NextVersion> {
    const combining = new Round(this.plan, this.parametersOf(base), this.stateOf(base, memory), {
      clients: about.clients,
      expected: about.round.wanted,
      noise: secureNoise,
      statistics: this.trainer.statistics,
    });
    for await (const { client, frame } of frames) {
      const decoded = decodeUpdate(frame, this.form);
      combining.add({ client, ...countedFor(decoded, this.plan.local, about.mostSamples), ...updateNumbers(decoded, this.form) });
    }
    return this.following(combining.finish(), about.time);
  }

  /** The version after a round whose mean is known. */
  afterMean(base: StoredModel, memory: Memory, mean: Float32Array, time: number): NextVersion {
    return this.following(afterMean(this.plan.strategy, this.parametersOf(base), mean, this.stateOf(base, memory), this.trainer.statistics), time);
  }

  private following({ parameters, state }: RoundResult, time: number): NextVersion {
    // What is remembered, too: one square that is infinite would hold its parameter still for ever.
    const { average } = state;
    if (![parameters, state.control ?? [], ...state.server.values()].every((numbers) => numbers.every(Number.isFinite)))
      throw new KingletError("check-failed", "the updates of a round make numbers that are not finite");
    const kept = [...state.server].map(([name, data]): [string, Uint8Array] => [SERVER + name, bytesOf(data)]);
    if (average !== undefined) kept.push([AVERAGE, bytesOf(average)]);
    return {
      model: this.stored(state.version, parameters, state.control, time),
      memory: new Map([...kept, [CLIP, bytesOf(Float64Array.of(state.clip))]]),
    };
  }

  /** What a federation is judged by and gives back: a version, or the average up to it where the strategy keeps one. */
  weightsOf(model: StoredModel, average: Uint8Array | null): Float32Array {
    return average === null ? this.parametersOf(model) : numbersOf(average);
  }

  /** Such weights as a `.kinglet` file. */
  export(weights: Float32Array): Uint8Array {
    return writeKinglet(this.trainer.networkWith(weights, 1));
  }
}
