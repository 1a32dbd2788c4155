import { bytesShort, count } from "./format.ts";
import { card } from "./markup.ts";
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

function figures({ rounds, clients, samples, personal }: FederationReport): string {
  const last = rounds.at(-1)!;
  const sent = rounds.reduce((sum, { bytes }) => sum + bytes, 0);
  const cards = [
    card("Right answers", percent(last.accuracy), `of ${count(samples)} samples that no client holds`),
    card("Rounds", count(rounds.length), `the last with ${count(last.clients)} of ${count(clients)} clients`),
    card("Clients sent", bytesShort(sent), `${count(sent)} bytes in all`),
    ...(last.epsilon === undefined ? [] : [card("Privacy spent", `ε ${last.epsilon.toFixed(2)}`, "by all rounds together")]),
    ...(personal === undefined
      ? []
      : [card("With last layers of their own", percent(personal.after), `of what clients kept back; ${percent(personal.before)} without`)]),
  ];
  return `<dl class="cards">${cards.join("")}</dl>`;
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
