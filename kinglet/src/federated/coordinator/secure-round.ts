import {
  advertisementOf,
  checkedJson,
  decodeUpdate,
  KeysMessage,
  maskedWords,
  RevelationMessage,
  revelationOf,
  SECURE_STEPS,
  type SecureStep,
  type UpdateForm,
} from "../protocol/index.ts";
import { SecureCoordinator, type SecureRules, thresholdOf, weightedMeanOfSum } from "../secure/index.ts";
import type { Kept, SecureRead } from "./secure-store.ts";
import type { RoundCounts } from "./store.ts";

/** Where a round of secure aggregation is. */
export interface StepState {
  readonly step: SecureStep;
  readonly deadline: number;
  /** Of the step. */
  readonly counts: Pick<RoundCounts, "asked" | "answered">;
  /** Clients that sent keys, once that step is over. */
  readonly group: number;
}

/**
 * What becomes of a step. It waits for everybody who is asked, since each of them shall be in the sum; it gives up as soon as too few can
 * stay to the end.
 */
export function stepVerdict(
  { step, deadline, counts: { asked, answered }, group }: StepState,
  rules: Pick<SecureRules, "threshold" | "minimum">,
  now: number,
): "wait" | "go on" | "close" | "give up" {
  const over = asked === 0 || now >= deadline;
  const left = over ? answered : asked + answered;
  if (left < thresholdOf(rules, step === "keys" ? left : group)) return "give up";
  if (!over) return "wait";
  return step === SECURE_STEPS.at(-1) ? "close" : "go on";
}

/** The step after this one, which is not the last. */
export function stepAfter(step: SecureStep): SecureStep {
  return SECURE_STEPS[SECURE_STEPS.indexOf(step) + 1]!;
}

const text = ({ body }: Kept): string => new TextDecoder().decode(body);

/**
 * The mean of a round whose last step is over: the library's coordinator goes through what clients answered.
 * @throws KingletError `check-failed` where shares are not true, or the sum is none that honest clients can give.
 */
export async function secureRoundMean(read: SecureRead, round: number, rules: SecureRules, form: UpdateForm): Promise<Float32Array> {
  const keys = await read.answers("keys");
  const count = keys.length;
  const coordinator = new SecureCoordinator(round, thresholdOf(rules, count), form.length + 1);
  coordinator.gather(keys.map((kept) => advertisementOf(kept.client, checkedJson(KeysMessage, text(kept), "the keys"))));
  coordinator.goOnWith(await read.clients("shares"));
  for (const client of await read.clients("update")) coordinator.add({ client, masked: maskedWords(decodeUpdate(await read.update(client), form)) });
  const revelations = (await read.answers("revelation")).map((kept) =>
    revelationOf(kept.client, checkedJson(RevelationMessage, text(kept), "the revelation")),
  );
  const sum = await coordinator.sum(revelations);
  return weightedMeanOfSum(sum, rules, { survivors: coordinator.survivors().length, count });
}
