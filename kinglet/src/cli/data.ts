import { type Command, InvalidArgumentError } from "commander";
import { addDataImport } from "./data-import.ts";
import { addDataShow } from "./data-show.ts";
import type { Io } from "./io.ts";

function sampleCount(text: string): number {
  if (!/^\d{1,3}$/.test(text)) throw new InvalidArgumentError("Give a whole number up to 999.");
  return Number(text);
}

export function addData(program: Command, io: Io): void {
  const data = program.command("data").description("Reads recordings and pictures into a data set, and shows one.");
  addDataImport(data, io);
  addDataShow(data, io, sampleCount);
}
