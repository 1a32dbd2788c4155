import { describe, expect, it } from "vitest";
import { KingletError } from "../base/index.ts";
import { ramNeeded } from "./board.ts";
import { BOARDS, boardById, boardsThatFit } from "./catalogue.ts";
import { CORES } from "./cores.ts";

describe("the catalogue", () => {
  it("has at least 22 real boards with unique names", () => {
    expect(BOARDS.filter((board) => board.emulated !== true).length).toBeGreaterThanOrEqual(22);
    expect(new Set(BOARDS.map((board) => board.id)).size).toBe(BOARDS.length);
  });

  it.each(BOARDS)("$id has positive whole figures and says where they come from", (board) => {
    for (const figure of [board.clockHz, board.sramBytes, board.flashBytes]) expect(Number.isInteger(figure) && figure > 0).toBe(true);
    expect(board.sources.length).toBeGreaterThan(20);
    if (board.core === null) return;
    const core = CORES[board.core];
    expect(core.toolchain).toBe(board.toolchain);
    expect({ mve: core.mve, dsp: core.dsp }).toEqual({ mve: board.mve, dsp: board.dsp });
  });

  it("finds a board by name and suggests near names", () => {
    expect(boardById("nucleo-l4r5zi").sramBytes).toBe(640 * 1024);
    const error = (() => {
      try {
        return boardById("nucleo-l4r5zu");
      } catch (caught) {
        return caught;
      }
    })();
    expect(error).toBeInstanceOf(KingletError);
    expect((error as KingletError).code).toBe("misuse");
    expect((error as KingletError).hint).toContain("nucleo-l4r5zi");
  });

  it("chooses real boards by RAM and flash", () => {
    const ids = boardsThatFit({ ramBytes: 600_000, flashBytes: 1_000_000 }).map((board) => board.id);
    expect(ids).toContain("nucleo-l4r5zi");
    expect(ids).not.toContain("nrf52840-dk");
    expect(ids).not.toContain("cortex-m4");
    expect(boardsThatFit({ ramBytes: 2048, flashBytes: 32_768 }).map((board) => board.id)).toContain("arduino-uno");
  });
});

it("where constants lie in RAM, tables count as RAM", () => {
  const uno = boardById("arduino-uno");
  expect(ramNeeded(uno, 100, 1000)).toBe(1100);
  expect(ramNeeded(boardById("nucleo-l4r5zi"), 100, 1000)).toBe(100);
  const fits = (tableBytes: number): boolean => boardsThatFit({ ramBytes: 100, flashBytes: 3000, tableBytes }).includes(uno);
  expect([fits(0), fits(1900), fits(2000)]).toEqual([true, true, false]);
});
