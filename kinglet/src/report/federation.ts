import { bytesShort, count } from "./format.ts";
import { htmlTable } from "./markup.ts";
import { renderPage } from "./page.ts";
import { CHART_STYLE, roundCurve } from "./training-charts.ts";

/** One round of a federation. */
export interface FederationRound {
  readonly round: number;
  readonly clients: number;
  /** Share of right answers. */
  readonly accuracy: number;
  /** What clients sent. */
  readonly bytes: number;
  /** The privacy spent so far. */
  readonly epsilon?: number;
}

/** All that the page of a federation shows. */
export interface FederationReport {
  readonly title: string;
  readonly version: string;
  readonly clients: number;
  /** Samples that judge. */
  readonly samples: number;
  readonly rounds: readonly FederationRound[];
  /** With heads of clients' own: right answers on what they kept back, of the common network and of their own. */
  readonly personal?: { readonly before: number; readonly after: number };
}

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;

function figures({ rounds, samples, personal }: FederationReport): string {
  const last = rounds.at(-1)!;
  const sent = rounds.reduce((sum, { bytes }) => sum + bytes, 0);
  const rows = [
    ["right answers", `${percent(last.accuracy)} of ${count(samples)} samples`],
    ["rounds", count(rounds.length)],
    ["clients sent", `${bytesShort(sent)} in all`],
    ...(last.epsilon === undefined ? [] : [["privacy spent", `ε ${last.epsilon.toFixed(2)}`]]),
    ...(personal === undefined ? [] : [["last layers of clients' own", `${percent(personal.before)} before, ${percent(personal.after)} after`]]),
  ];
  return htmlTable("Key figures", [{ title: "What" }, { title: "Figure", number: true }], rows);
}

function curves({ rounds }: FederationReport): string {
  const accuracy = roundCurve(
    "Right answers",
    rounds.map((round) => round.accuracy),
    "share",
  );
  const epsilons = rounds.flatMap(({ epsilon }) => (epsilon === undefined ? [] : [epsilon]));
  return `<div class="charts">${accuracy}${epsilons.length === 0 ? "" : roundCurve("Privacy spent, ε", epsilons, "number")}</div>`;
}

/** The page of a federation: self-contained, nothing is loaded from elsewhere. */
export function renderFederation(data: FederationReport): string {
  return renderPage({
    title: data.title,
    kind: "federation",
    lead: `A network that ${count(data.clients)} clients taught without giving their samples away.`,
    version: data.version,
    style: CHART_STYLE,
    sections: [
      { id: "figures", title: "Key figures", body: figures(data) },
      { id: "rounds", title: "Round by round", body: curves(data) },
    ],
  });
}
