import { describe, expect, test } from "vitest";
import { bytesShort, countShort, percent, wrapText } from "./format.ts";
import { formatTable, widthOf } from "./table.ts";
import { reportText } from "./terminal.ts";
import { inventedReport } from "./testing.ts";

describe("formatTable", () => {
  test("lines columns up", () => {
    expect(
      formatTable(
        [{ title: "Name" }, { title: "Bytes", align: "right" }],
        [
          ["a", "1,024"],
          ["longer", "7"],
        ],
      ),
    ).toBe(["Name    Bytes", "──────  ─────", "a       1,024", "longer      7"].join("\n"));
  });

  test("counts wide letters, cuts long cells, fills missing ones", () => {
    const lines = formatTable(
      [
        { title: "N", most: 4 },
        { title: "x", align: "right" },
      ],
      [["声音", "1"], ["abcdefgh"]],
    ).split("\n");
    expect(lines[2]).toBe("声音  1");
    expect(lines[3]).toBe("abc…");
    expect(widthOf("声a\u0301")).toBe(3);
  });

  test("lets no escape sequence through", () => {
    expect(formatTable([{ title: "N" }], [["\u001b[31mred\nline"]])).not.toMatch(/\u001b|d\nl/);
  });
});

test("figures are rounded for the eye", () => {
  expect([bytesShort(0), bytesShort(1023), bytesShort(22_016), bytesShort(2 ** 21)]).toEqual(["0 B", "1023 B", "21.5 KiB", "2 MiB"]);
  expect([countShort(12), countShort(2_656_768)]).toEqual(["12", "2.66 M"]);
  expect([percent(999, 1000), percent(0, 5), percent(1, 100_000), percent(5, 5)]).toEqual(["99 %", "–", "<0.1 %", "100 %"]);
});

test("the terminal tells what the page tells", () => {
  const text = reportText(
    inventedReport(5, { network: "evil\u001b[2J", verified: [{ via: "cortex-m4", equal: false, instructions: 1234, stackBytes: 96 }] }),
  );
  for (const part of ["evil\ufffd[2J", "4,096 bytes", "Roomy board", "2,048 bytes of RAM too few", "DIFFERENT", "1,234", "peak"])
    expect(text).toContain(part);
  expect(text).not.toContain("\u001b");
});

test("sentences wrap at spaces, and a long word has its own line", () => {
  expect(wrapText("one two three", "  ", 9)).toBe("one two\n  three");
  expect(wrapText("see /a/very/long/path now", "  ", 9)).toBe("see\n  /a/very/long/path\n  now");
  expect(wrapText("short")).toBe("short");
});
