import { describe, expect, test } from "vitest";
import { renderReport } from "./html.ts";
import { cssPercent, escapeHtml, shortName } from "./markup.ts";
import { ticks } from "./memory-chart.ts";
import { inventedReport } from "./testing.ts";

const HOSTILE = `"><script>alert(1)</script><img src=x onerror='alert(2)'>&amp;\u202e`;

/** Everything in the page that a file or a caller can name. */
function hostileReport(): ReturnType<typeof inventedReport> {
  const base = inventedReport(3);
  return inventedReport(3, {
    network: HOSTILE,
    file: HOSTILE,
    version: HOSTILE,
    target: HOSTILE,
    profiledOn: HOSTILE,
    codeFrom: HOSTILE,
    codeBytes: 10,
    metadata: { [HOSTILE]: HOSTILE },
    inputs: base.inputs.map((port) => ({ ...port, name: HOSTILE, dtype: HOSTILE })),
    layers: base.layers.map((layer) => ({ ...layer, name: HOSTILE, op: HOSTILE, outputType: HOSTILE, instructions: 5 })),
    timeline: {
      ...base.timeline,
      blocks: base.timeline.blocks.map((block) => ({ ...block, name: HOSTILE })),
      steps: base.timeline.steps.map((step) => ({ ...step, name: HOSTILE, op: HOSTILE })),
    },
    boards: base.boards.map((board) => ({ ...board, id: HOSTILE, title: HOSTILE, chip: HOSTILE, reason: HOSTILE })),
    verified: [{ via: HOSTILE, equal: true, note: HOSTILE, instructions: 5 }],
  });
}

function blocksOf(page: string): { x: number; y: number; width: number; height: number; title: string }[] {
  const found = page.matchAll(/<rect class="block [^"]*" x="(\d+)" y="(\d+)" width="(\d+)" height="(\d+)"><title>([^<]*)<\/title>/g);
  return [...found].map(([, x, y, width, height, title]) => ({
    x: Number(x),
    y: Number(y),
    width: Number(width),
    height: Number(height),
    title: title!,
  }));
}

describe("escaping", () => {
  test("names from files stay text", () => {
    const page = renderReport(hostileReport());
    expect(page.match(/<script/g)).toHaveLength(1);
    expect(page).not.toContain("<img");
    expect(page).not.toContain("\u202e");
    expect(page).not.toMatch(/="[^"]*"[^\s>/][^>]*onerror/);
    expect(page).toContain("&lt;script&gt;alert(1)&lt;/script&gt;");
  });

  test("quotes, ampersands, control characters and endless names are tamed", () => {
    expect(escapeHtml(`<a href="x" title='y'>&`)).toBe("&lt;a href=&quot;x&quot; title=&#39;y&#39;&gt;&amp;");
    expect(escapeHtml("a\u001b[2Jb\u0000")).toBe("a\ufffd[2Jb\ufffd");
    expect(Array.from(escapeHtml("x".repeat(5_000_000), 50))).toHaveLength(50);
  });
});

describe("the page", () => {
  test("loads nothing", () => {
    const page = renderReport(inventedReport(5));
    expect(page).not.toMatch(/https?:|\/\/[a-z]|@import|url\(|<link|<iframe|\ssrc=|xlink|xmlns/i);
    expect(page).toContain("default-src 'none'");
  });

  test("every table has a caption and every heading cell a scope", () => {
    const page = renderReport(inventedReport(5, { verified: [{ via: "js", equal: true }] }));
    expect(page.match(/<table>/g)!.length).toBe(page.match(/<table><caption>[^<]+<\/caption>/g)!.length);
    expect(page).not.toMatch(/<th(?! scope=)[ >]/);
  });

  test("says what fits, what does not, and by how much", () => {
    const page = renderReport(inventedReport(5));
    expect(page).toContain("60 KiB free");
    expect(page).toContain("2 KiB too few");
    expect(page).toContain("It fits 1 of 2 boards.");
  });

  test("never takes silence for success", () => {
    const silent = renderReport(inventedReport(2));
    expect(silent).toContain("Nothing was run for this report.");
    const mixed = renderReport(
      inventedReport(2, {
        verified: [
          { via: "js", equal: true },
          { via: "c", equal: false },
          { via: "rv32", note: "no compiler" },
        ],
      }),
    );
    expect(mixed).toContain("1 of 2 runs gave another result");
    expect(mixed).toContain("not compared");
    expect(mixed).toContain("✗ different");
  });
});

describe.each([0, 1, 5, 150])("the memory plan over %i steps", (steps) => {
  const data = inventedReport(steps);
  const page = renderReport(data);

  test("draws each block where and when it lies", () => {
    const drawn = blocksOf(page);
    expect(drawn).toHaveLength(data.timeline.blocks.length);
    data.timeline.blocks.forEach((block, i) => {
      const { x, y, width, height, title } = drawn[i]!;
      expect([x, width, height]).toEqual([block.first, block.last - block.first + 1, block.bytes]);
      expect(data.arenaBytes - y - height).toBe(block.offset);
      expect(title).toContain(`${block.name}: ${block.kind}, ${block.bytes.toLocaleString("en-US")} bytes`);
    });
  });

  test("marks one peak and gives a bar to each step", () => {
    expect(page.match(/class="use[ "]/g) ?? []).toHaveLength(steps);
    expect(page.match(/class="use peak"/g) ?? []).toHaveLength(Math.min(1, steps));
    expect(page).not.toMatch(/NaN|undefined|Infinity/);
  });
});

test("ticks are few and start at 0", () => {
  for (const most of [1, 5, 76, 4096, 10_000, 2 ** 24]) {
    expect(ticks(most)[0]).toBe(0);
    expect(ticks(most).length).toBeLessThanOrEqual(9);
    expect(ticks(most).at(-1)).toBeLessThanOrEqual(most);
  }
});

test("names are shortened to their telling end", () => {
  expect(shortName("model/block/Relu;model/bn")).toBe("Relu");
  expect(shortName("///")).toBe("///");
  expect(cssPercent(1, 3)).toBe("33.333%");
});
