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
  /** The document and what of it. */
  readonly sources: string;
  readonly notes?: string;
  /** True for a machine that exists in QEMU only. */
  readonly emulated?: true;
}
