import { KingletError } from "../base/index.ts";
import type { ToolId } from "./tools.ts";

/** The processor cores that Kinglet can run firmware on, all emulated. */
export type CoreId = "cortex-m0" | "cortex-m3" | "cortex-m4" | "cortex-m7" | "cortex-m33" | "cortex-m55" | "rv32";

/** A piece of the machine's address space. */
export interface MemoryRegion {
  readonly start: number;
  readonly bytes: number;
}

/** The clock that counts instructions: which device, where, at which rate of virtual time. */
export interface CoreTimer {
  readonly kind: "cmsdk" | "sse" | "minstret";
  readonly address: number;
  /** Instructions per tick under `-icount shift=0` (1 ns per instruction): numerator and power-of-two denominator. */
  readonly wide: readonly [number, number];
  /** The same under `shift=6` (64 ns per instruction): a tick is less than an instruction. */
  readonly fine: readonly [number, number];
}

/** An emulated core: how to compile for it, which QEMU machine runs it, and what memory that machine has. */
export interface Core {
  readonly id: CoreId;
  readonly title: string;
  readonly toolchain: "arm" | "riscv";
  /** Flags that choose the instruction set and the ABI. */
  readonly gccFlags: readonly string[];
  /** C library. */
  readonly specs: string;
  readonly qemu: "qemu-system-arm" | "qemu-system-riscv32";
  readonly machine: readonly string[];
  /** Where the vectors and `.text` go. */
  readonly code: MemoryRegion;
  /** Where `.rodata` goes, if not behind the code. */
  readonly constants?: MemoryRegion;
  /** Stack, `.data`, `.bss`, heap; the stack lies at the bottom so that an overflow leaves the region. */
  readonly ram: MemoryRegion;
  /** `BOARD_BIG` and `BOARD_BIG_CONST`. */
  readonly big: MemoryRegion;
  readonly timer: CoreTimer;
  /** Address of the CMSDK serial port that firmware may talk through, and the number of its interrupt for a byte that came; none where firmware only prints. */
  readonly serial?: { readonly address: number; readonly interrupt: number };
  readonly fpu: "none" | "single" | "double";
  readonly dsp: boolean;
  readonly mve: boolean;
  /** What a reader of this core's figures must know. */
  readonly note: string;
}

const KiB = 1024;
const MiB = 1024 * KiB;

/** 25 MHz: one tick is 40 ns. */
const CMSDK_25: CoreTimer = { kind: "cmsdk", address: 0x40000000, wide: [40, 1], fine: [5, 8] };

/** UART 0 of the MPS2 machines. */
const MPS2_SERIAL = { address: 0x40004000, interrupt: 0 };

const MPS2_CODE: MemoryRegion = { start: 0, bytes: 4 * MiB };
const MPS2_RAM: MemoryRegion = { start: 0x20000000, bytes: 4 * MiB };
const MPS2_PSRAM: MemoryRegion = { start: 0x21000000, bytes: 16 * MiB };
const NANO = "--specs=nano.specs";

/**
 * The machines. Memory maps: Arm application notes AN385, AN386, AN500, AN505 and AN547 as QEMU 7.2
 * models them (hw/arm/mps2.c, mps2-tz.c). No machine models wait states, caches, dual issue or MVE beats:
 * figures are instructions, not cycles.
 */
export const CORES: { readonly [Id in CoreId]: Core & { readonly id: Id } } = {
  "cortex-m0": {
    id: "cortex-m0",
    title: "Arm Cortex-M0 (Armv6-M)",
    toolchain: "arm",
    gccFlags: ["-mcpu=cortex-m0", "-mthumb", "-mfloat-abi=soft", "-masm-syntax-unified"],
    specs: NANO,
    qemu: "qemu-system-arm",
    machine: ["-M", "mps2-an385"],
    code: MPS2_CODE,
    ram: MPS2_RAM,
    big: MPS2_PSRAM,
    timer: CMSDK_25,
    serial: MPS2_SERIAL,
    fpu: "none",
    dsp: false,
    mve: false,
    note: "Compiled for Armv6-M and run on an emulated Cortex-M3, because QEMU's only Cortex-M0 board has 16 KB of RAM: Armv6-M is a subset of Armv7-M, so the instructions and their number are those of an M0, and unaligned accesses trap as on an M0; a stray Armv7-M instruction would not trap.",
  },
  "cortex-m3": {
    id: "cortex-m3",
    title: "Arm Cortex-M3 (Armv7-M)",
    toolchain: "arm",
    gccFlags: ["-mcpu=cortex-m3", "-mthumb", "-mfloat-abi=soft"],
    specs: NANO,
    qemu: "qemu-system-arm",
    machine: ["-M", "mps2-an385"],
    code: MPS2_CODE,
    ram: MPS2_RAM,
    big: MPS2_PSRAM,
    timer: CMSDK_25,
    serial: MPS2_SERIAL,
    fpu: "none",
    dsp: false,
    mve: false,
    note: "MPS2 with AN385.",
  },
  "cortex-m4": {
    id: "cortex-m4",
    title: "Arm Cortex-M4F (Armv7E-M, single-precision FPU)",
    toolchain: "arm",
    gccFlags: ["-mcpu=cortex-m4", "-mthumb", "-mfpu=fpv4-sp-d16", "-mfloat-abi=hard"],
    specs: NANO,
    qemu: "qemu-system-arm",
    machine: ["-M", "mps2-an386"],
    code: MPS2_CODE,
    ram: MPS2_RAM,
    big: MPS2_PSRAM,
    timer: CMSDK_25,
    serial: MPS2_SERIAL,
    fpu: "single",
    dsp: true,
    mve: false,
    note: "MPS2 with AN386.",
  },
  "cortex-m7": {
    id: "cortex-m7",
    title: "Arm Cortex-M7F (Armv7E-M, double-precision FPU)",
    toolchain: "arm",
    gccFlags: ["-mcpu=cortex-m7", "-mthumb", "-mfpu=fpv5-d16", "-mfloat-abi=hard"],
    specs: NANO,
    qemu: "qemu-system-arm",
    machine: ["-M", "mps2-an500"],
    code: MPS2_CODE,
    ram: MPS2_RAM,
    big: { start: 0x60000000, bytes: 16 * MiB },
    timer: CMSDK_25,
    serial: MPS2_SERIAL,
    fpu: "double",
    dsp: true,
    mve: false,
    note: "MPS2 with AN500; dual issue is not modelled.",
  },
  "cortex-m33": {
    id: "cortex-m33",
    title: "Arm Cortex-M33F (Armv8-M Mainline, single-precision FPU, DSP)",
    toolchain: "arm",
    gccFlags: ["-mcpu=cortex-m33", "-mthumb", "-mfpu=fpv5-sp-d16", "-mfloat-abi=hard"],
    specs: NANO,
    qemu: "qemu-system-arm",
    machine: ["-M", "mps2-an505"],
    code: { start: 0x10000000, bytes: 4 * MiB },
    ram: { start: 0x38000000, bytes: 4 * MiB },
    big: { start: 0x80000000, bytes: 16 * MiB },
    /** 20 MHz, secure alias: one tick is 50 ns. */
    timer: { kind: "cmsdk", address: 0x50000000, wide: [50, 1], fine: [25, 32] },
    fpu: "single",
    dsp: true,
    mve: false,
    note: "MPS2 with AN505, all in the secure state through the secure aliases.",
  },
  "cortex-m55": {
    id: "cortex-m55",
    title: "Arm Cortex-M55 (Armv8.1-M, FPU, MVE integer and float)",
    toolchain: "arm",
    gccFlags: ["-mcpu=cortex-m55", "-mthumb", "-mfloat-abi=hard"],
    specs: NANO,
    qemu: "qemu-system-arm",
    machine: ["-M", "mps3-an547"],
    code: { start: 0, bytes: 512 * KiB },
    constants: { start: 0x70000000, bytes: 64 * MiB },
    ram: { start: 0x31000000, bytes: 4 * MiB },
    big: { start: 0x78000000, bytes: 64 * MiB },
    /** 32 MHz: one tick is 31.25 ns. */
    timer: { kind: "sse", address: 0x58000000, wide: [125, 4], fine: [125, 256] },
    fpu: "double",
    dsp: true,
    mve: true,
    note: "MPS3 with AN547, all in the secure state; an MVE instruction counts as one although it takes 2 or 4 beats.",
  },
  rv32: {
    id: "rv32",
    title: "RISC-V RV32IMC",
    toolchain: "riscv",
    gccFlags: ["-march=rv32imc", "-mabi=ilp32", "-mcmodel=medany"],
    specs: "--specs=picolibc.specs",
    qemu: "qemu-system-riscv32",
    machine: ["-M", "virt", "-m", "64M", "-bios", "none"],
    code: { start: 0x80000000, bytes: 16 * MiB },
    ram: { start: 0x81000000, bytes: 16 * MiB },
    big: { start: 0x82000000, bytes: 32 * MiB },
    timer: { kind: "minstret", address: 0, wide: [1, 1], fine: [1, 1] },
    fpu: "none",
    dsp: false,
    mve: false,
    note: "QEMU's virt machine in machine mode; minstret counts single instructions.",
  },
};

export const CORE_IDS: readonly CoreId[] = Object.keys(CORES) as CoreId[];

/** True for the name of an emulated core. */
export function isCoreId(id: string): id is CoreId {
  return Object.hasOwn(CORES, id);
}

/**
 * The core of that name.
 * @throws KingletError `misuse` that lists the names.
 */
export function coreById(id: string): Core {
  if (!isCoreId(id)) throw new KingletError("misuse", `there is no emulated core named "${id}"`, { hint: `The cores are ${CORE_IDS.join(", ")}.` });
  return CORES[id];
}

/** The compiler and the emulator that a core needs. */
export function coreTools(core: Core): ToolId[] {
  return [core.toolchain === "arm" ? "arm-none-eabi-gcc" : "riscv64-unknown-elf-gcc", core.qemu];
}
