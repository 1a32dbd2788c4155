import { bytesShort, count, countShort, plural } from "./format.ts";
import type { Provenance, ReportBoard, ReportData } from "./types.ts";

/** One figure with the way it was obtained; pages and terminals show the same list. */
export interface Fact {
  readonly label: string;
  /** For the eye. */
  readonly value: string;
  /** The full figure, or what it is about. */
  readonly detail: string;
  readonly how: Provenance;
  /** Where the figure comes from. */
  readonly method: string;
}

function arenaFact(data: ReportData): Fact {
  const gap = data.arenaBytes - data.lowerBoundBytes;
  const verdict = data.proved
    ? "proved the smallest for this order of steps"
    : `at most ${count(gap)} above the smallest possible (bound ${count(data.lowerBoundBytes)})`;
  return {
    label: "Arena",
    value: bytesShort(data.arenaBytes),
    detail: `${count(data.arenaBytes)} bytes, ${verdict}`,
    how: "exact",
    method: "The number that the generated code uses. A checker replayed every read and write and found no byte read after it was overwritten.",
  };
}

/** The key figures, most wanted first. */
export function factsOf(data: ReportData): Fact[] {
  const facts: Fact[] = [
    arenaFact(data),
    {
      label: "Weights",
      value: bytesShort(data.weightBytes),
      detail: `${count(data.weightBytes)} bytes of tables in flash`,
      how: "exact",
      method: "Bytes of all tables of the program: weights, biases, multipliers. Equal tables are stored once.",
    },
  ];
  if (data.codeBytes !== undefined) {
    facts.push({
      label: "Code",
      value: bytesShort(data.codeBytes),
      detail: `${count(data.codeBytes)} bytes without weights${data.codeFrom === undefined ? "" : `, built for ${data.codeFrom}`}`,
      how: "exact",
      method: "From the linker's map of the firmware: the library and what it alone pulls in from the C library.",
    });
  }
  const run = data.verified.find((check) => check.instructions !== undefined);
  if (run?.instructions !== undefined) {
    facts.push({
      label: "Instructions",
      value: countShort(run.instructions),
      detail: `${count(run.instructions)} per inference on ${run.via}`,
      how: "exact",
      method: "Counted by the emulator for one inference. Not a time: cycles for each instruction differ from chip to chip.",
    });
  }
  if (data.stackBytes !== undefined) {
    facts.push({
      label: "Stack",
      value: bytesShort(data.stackBytes),
      detail: `${count(data.stackBytes)} bytes at most in the emulated runs`,
      how: "exact",
      method: "High-water mark of a painted stack while the emulated firmware ran; the largest of the cores.",
    });
  }
  facts.push(
    {
      label: "MACs",
      value: countShort(data.macs),
      detail: `${count(data.macs)} multiply-accumulates per inference`,
      how: "exact",
      method: "Counted from the shapes of the operators.",
    },
    {
      label: "Parameters",
      value: countShort(data.parameters),
      detail: `${count(data.parameters)} elements in ${plural(data.layers.length, "layer")}`,
      how: "exact",
      method: "Elements of the constants of the network.",
    },
  );
  return facts;
}

/** What the network takes on a board, as far as it is known. */
export function needOf(data: Pick<ReportData, "arenaBytes" | "stackBytes" | "weightBytes" | "codeBytes">): {
  ramBytes: number;
  flashBytes: number;
  ram: string;
  flash: string;
} {
  return {
    ramBytes: data.arenaBytes + (data.stackBytes ?? 0),
    flashBytes: data.weightBytes + (data.codeBytes ?? 0),
    ram: data.stackBytes === undefined ? "arena (the stack was not measured)" : "arena and stack",
    flash: data.codeBytes === undefined ? "weights (code was not linked for a core)" : "weights and code",
  };
}

/** What every board in the report is held against, in one sentence. */
export function boardRule(data: ReportData): string {
  const need = needOf(data);
  return `Needed: ${count(need.ramBytes)} bytes of RAM for ${need.ram}, ${count(need.flashBytes)} bytes of flash for ${need.flash}. Memory of the rest of a firmware is not counted. Board figures come from data sheets.`;
}

/** What is left on a board; negative where something is missing. */
export function freeOn(board: ReportBoard, data: ReportData): { ramBytes: number; flashBytes: number } {
  const need = needOf(data);
  const tables = board.tablesInRam === true ? data.weightBytes : 0;
  return { ramBytes: board.sramBytes - need.ramBytes - tables, flashBytes: board.flashBytes - need.flashBytes };
}

/** The whole network in one sentence. */
export function summaryOf(data: ReportData): string {
  const fits = data.boards.filter((board) => board.fits).length;
  const equal = data.verified.filter((check) => check.equal === true).length;
  const compared = data.verified.filter((check) => check.equal !== undefined).length;
  const boards = data.boards.length === 0 ? "" : ` It fits ${fits} of ${plural(data.boards.length, "board")}.`;
  const checks =
    compared === 0
      ? ""
      : equal === compared
        ? ` ${compared === 1 ? "Its one run" : `All ${count(compared)} runs`} gave the result of the plain loops.`
        : ` ${count(compared - equal)} of ${plural(compared, "run")} gave another result than the plain loops.`;
  return `${plural(data.layers.length, "layer")}, ${countShort(data.parameters)} parameters, ${countShort(data.macs)} multiply-accumulates per inference.${boards}${checks}`;
}
