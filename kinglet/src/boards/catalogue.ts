import { KingletError } from "../base/index.ts";
import { type Board, ramNeeded } from "./board.ts";
import { CORE_IDS, CORES, type CoreId } from "./cores.ts";
import { REAL_BOARDS } from "./real-boards.ts";

function emulatedBoard(id: CoreId): Board {
  const core = CORES[id];
  const [num, den] = core.timer.wide;
  return {
    id,
    name: `Emulated ${core.title}`,
    core: id,
    chip: core.machine.slice(0, 2).join(" "),
    clockHz: Math.round((1e9 * den) / num),
    sramBytes: core.ram.bytes,
    flashBytes: core.constants?.bytes ?? core.code.bytes,
    fpu: core.fpu,
    dsp: core.dsp,
    mve: core.mve,
    toolchain: core.toolchain,
    sources: "kinglet/src/boards/cores.ts: QEMU 7.2 hw/arm/mps2.c, hw/arm/mps2-tz.c, hw/riscv/virt.c (memory map, timer clock)",
    notes: `The clock is that of the machine's timer, not a speed. ${core.note}`,
    emulated: true,
  };
}

/** All boards: the real ones, then the emulated machines under the names of their cores. */
export const BOARDS: readonly Board[] = [...REAL_BOARDS, ...CORE_IDS.map(emulatedBoard)];

/** Levenshtein's edit distance. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) next.push(Math.min(next[j - 1]! + 1, row[j]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)));
    row = next;
  }
  return row[b.length]!;
}

function nearNames(id: string): string[] {
  const wanted = id.toLowerCase();
  const score = (name: string): number => (wanted !== "" && name.includes(wanted) ? 0 : distance(wanted, name));
  return BOARDS.map((board) => board.id)
    .sort((a, b) => score(a) - score(b))
    .slice(0, 4);
}

/**
 * The board of that name.
 * @throws KingletError `misuse` that lists the nearest names.
 */
export function boardById(id: string): Board {
  const board = BOARDS.find((each) => each.id === id);
  if (board !== undefined) return board;
  throw new KingletError("misuse", `there is no board named "${id}"`, { hint: `Did you mean ${nearNames(id).join(", ")}?` });
}

/**
 * The real boards with at least that much RAM and flash, in the order of the catalogue. `tableBytes` of the flash are
 * constants, which some boards keep in RAM.
 */
export function boardsThatFit(need: { readonly ramBytes: number; readonly flashBytes: number; readonly tableBytes?: number }): Board[] {
  const fits = (board: Board): boolean =>
    ramNeeded(board, need.ramBytes, need.tableBytes ?? 0) <= board.sramBytes && need.flashBytes <= board.flashBytes;
  return BOARDS.filter((board) => board.emulated !== true && fits(board));
}
