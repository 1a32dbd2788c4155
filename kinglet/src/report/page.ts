import { escapeHtml, MARK } from "./markup.ts";
import { STYLE } from "./style.ts";

/** A part of a page with a heading. */
export interface Section {
  readonly id: string;
  readonly title: string;
  /** HTML. */
  readonly body: string;
}

/** A page that stands by itself. */
export interface Page {
  readonly title: string;
  /** "training", "federation". */
  readonly kind: string;
  readonly lead: string;
  readonly version: string;
  /** CSS beside what all pages have. */
  readonly style: string;
  readonly sections: readonly Section[];
}

/** A self-contained page: nothing is loaded from elsewhere. */
export function renderPage({ title, kind, lead, version, style, sections }: Page): string {
  const policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";
  const links = sections.map((each) => `<a href="#${each.id}">${each.title}</a>`).join("");
  const parts = sections.map((each) => `<section aria-labelledby="${each.id}"><h2 id="${each.id}">${each.title}</h2>${each.body}</section>`);
  return `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="${policy}"><meta name="viewport" content="width=device-width, initial-scale=1"><title>${escapeHtml(title, 120)} · Kinglet ${kind}</title><style>${STYLE}${style}</style></head>
<body>
<header><p class="mark">${MARK}<span>Kinglet ${kind} report</span></p><h1>${escapeHtml(title, 120)}</h1><p class="lead">${escapeHtml(lead, 200)}</p><nav aria-label="Sections">${links}</nav></header>
<main>
${parts.join("\n")}
</main>
<footer>Written by Kinglet ${escapeHtml(version, 40)}. This page loads nothing from elsewhere.</footer>
</body>
</html>
`;
}
