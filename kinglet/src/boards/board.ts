import type { CoreId } from "./cores.ts";

/** A board that a model may have to fit: figures of its chip, with where they come from. */
export interface Board {
  readonly id: string;
  readonly name: string;
  /** The emulated core that runs its instruction set, or null when Kinglet emulates none. */
  readonly core: CoreId | null;
  readonly chip: string;
  /** Highest specified clock of the core meant here, in Hz. */
  readonly clockHz: number;
  /** RAM that programs can keep data in, all banks together. */
  readonly sramBytes: number;
  /** Non-volatile memory for code and weights, on the chip or, where the chip has none, on the board. */
  readonly flashBytes: number;
  readonly fpu: "none" | "single" | "double";
  /** Arm DSP extension. */
  readonly dsp: boolean;
  /** Arm Helium vector extension. */
  readonly mve: boolean;
  readonly toolchain: "arm" | "riscv" | "xtensa" | "avr";
  /** Compiler prefix and processor flags of a chip that no emulated core stands for. */
  readonly compiler?: { readonly prefix: string; readonly flags: readonly string[] };
  /** True where constants are copied to RAM, because loads cannot reach the flash (AVR). */
  readonly tablesInRam?: true;
  /** The document and what of it. */
  readonly sources: string;
  readonly notes?: string;
  /** True for a machine that exists in QEMU only. */
  readonly emulated?: true;
}

/** Bytes of RAM that a network takes on a board: what it works in, and its tables where they cannot stay in flash. */
export function ramNeeded(board: Board, workingBytes: number, tableBytes: number): number {
  return workingBytes + (board.tablesInRam === true ? tableBytes : 0);
}
