import { expect, test } from "vitest";
import { renderFederation } from "./federation.ts";

const rounds = [0.25, 0.5, 0.75].map((accuracy, i) => ({ round: i + 1, clients: 3, accuracy, bytes: 1000 }));

test("a federation's page draws its rounds and loads nothing", () => {
  const page = renderFederation({ title: "<b>", version: "1", clients: 30, samples: 40, rounds });
  expect(page).toMatch(/75.0 %<\/strong><span>of 40 samples/);
  expect(page.match(/Key figures/g)).toHaveLength(2);
  expect(page).toContain("&lt;b&gt;");
  expect(page.match(/<svg /g)).toHaveLength(2);
  expect(page).toContain('aria-label="Right answers by round"');
  expect(page.match(/class="curve judge" d="M[^"]*L[^"]*L[^"]*"/g)).toHaveLength(1);
  expect(page).not.toMatch(/(src|href)="(?!#|data:)/);
});

test("with privacy there is its curve, with heads of clients' own what they gave", () => {
  const spent = rounds.map((round) => ({ ...round, epsilon: round.round / 2 }));
  const page = renderFederation({ title: "t", version: "1", clients: 30, samples: 40, rounds: spent, personal: { before: 0.5, after: 0.9 } });
  expect(page).toContain("ε 1.50");
  expect(page).toMatch(/90.0 %<\/strong><span>of what clients kept back; 50.0 % without/);
  expect(page).toContain('aria-label="Privacy spent, ε by round"');
});
