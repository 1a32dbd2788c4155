import { KingletError } from "../base/index.ts";
import { privacyLoss } from "./accountant.ts";
import { type Noise, type Privacy, privateMean } from "./privacy.ts";
import { combined, type Strategy, type StrategyState } from "./strategy.ts";
import type { ClientUpdate } from "./update.ts";

/** How rounds are combined: by a strategy, with noise where privacy is asked for. */
export interface RoundPlan {
  readonly strategy: Strategy;
  readonly privacy?: Privacy;
}

/** What the coordinator remembers from round to round. */
export interface RoundState extends StrategyState {
  /** The length to which updates are shortened next; 0 without privacy. */
  readonly clip: number;
}

/** Before the first round. @throws KingletError `misuse` for a strategy that privacy cannot be counted for. */
export function beginningState({ strategy, privacy }: RoundPlan): RoundState {
  if (privacy !== undefined) checkPrivate(strategy);
  return { server: new Map(), control: undefined, clip: privacy?.clip ?? 0 };
}

/** Noise is counted for the mean of updates: other rules, steps that differ and control variates would tell more. */
function checkPrivate({ combination, control, normalizedSteps }: Strategy): void {
  if (combination.kind === "mean" && control !== true && normalizedSteps === undefined) return;
  throw new KingletError("misuse", "privacy is counted for the mean of updates alone", {
    hint: "Use FedAvg, FedProx or an optimizer of the coordinator.",
  });
}

/** The ε that `rounds` rounds cost which each asked this share of the clients. */
export function privacySpent({ noise, delta }: Privacy, share: number, rounds: number): number {
  return privacyLoss({ share, noise }, rounds, delta).epsilon;
}

/**
 * The parameters after a round of these updates, which are added in the given order.
 * @param about `clients`: all of the federation; `expected`: how many should answer; `noise`: for privacy alone.
 * @throws KingletError what `combined` throws.
 */
export function roundResult(
  { strategy, privacy }: RoundPlan,
  parameters: Float32Array,
  updates: readonly ClientUpdate[],
  state: RoundState,
  about: { readonly clients: number; readonly expected: number; readonly noise: Noise },
): { readonly parameters: Float32Array; readonly state: RoundState } {
  const mean = privacy === undefined ? undefined : privateMean(updates, privacy, state.clip, about.expected, about.noise);
  const next = combined(strategy, parameters, updates, state, {
    clients: about.clients,
    ...(mean === undefined ? {} : { delta: mean.delta }),
  });
  return { parameters: next.parameters, state: { ...next.state, clip: mean?.clip ?? state.clip } };
}
