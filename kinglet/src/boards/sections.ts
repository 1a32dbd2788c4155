import { KingletError } from "../base/index.ts";

/** One section of an ELF file that takes memory on the target. */
export interface ElfSection {
  readonly name: string;
  readonly address: number;
  readonly bytes: number;
  /** Occupies bytes in flash: it has contents in the file. */
  readonly stored: boolean;
  readonly writable: boolean;
  readonly executable: boolean;
}

/** Bytes of an object file or a linked program by where they go. */
export interface SectionSizes {
  /** Instructions and constants: `text` + `rodata`. */
  readonly codeBytes: number;
  readonly textBytes: number;
  readonly rodataBytes: number;
  /** Initialised variables: in flash and in RAM. */
  readonly dataBytes: number;
  /** Cleared variables, in RAM only; without the stack. */
  readonly bssBytes: number;
  /** What the program takes in flash: code, constants, initial values. */
  readonly flashBytes: number;
  readonly sections: readonly ElfSection[];
}

/** Magic, 32-bit class, little-endian data. */
const ELF32_LITTLE: readonly number[] = [0x7f, 0x45, 0x4c, 0x46, 1, 1];
const SHT_NOBITS = 8;
const SHF_WRITE = 1;
const SHF_ALLOC = 2;
const SHF_EXECINSTR = 4;
const SHF_TLS = 0x400;

function textAt(bytes: Uint8Array, offset: number): string {
  return new TextDecoder().decode(bytes.subarray(offset, bytes.indexOf(0, offset)));
}

/**
 * The allocated sections of a 32-bit little-endian ELF file (System V ABI, chapter 4).
 * @throws KingletError `bad-file` for anything else.
 */
export function elfSections(bytes: Uint8Array): ElfSection[] {
  const isElf32 = bytes.length >= 52 && ELF32_LITTLE.every((byte, i) => bytes[i] === byte);
  if (!isElf32) throw new KingletError("bad-file", "this is not a 32-bit little-endian ELF file");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const table = view.getUint32(32, true);
  const step = view.getUint16(46, true);
  const names = view.getUint32(table + view.getUint16(50, true) * step + 16, true);
  const sections: ElfSection[] = [];
  for (let i = 0; i < view.getUint16(48, true); i++) {
    const word = (at: number): number => view.getUint32(table + i * step + at, true);
    const flags = word(8);
    const template = (flags & SHF_TLS) !== 0 && word(4) === SHT_NOBITS; // takes no place itself; .bss holds it
    if ((flags & SHF_ALLOC) === 0 || word(20) === 0 || template) continue;
    sections.push({
      name: textAt(bytes, names + word(0)),
      address: word(12),
      bytes: word(20),
      stored: word(4) !== SHT_NOBITS,
      writable: (flags & SHF_WRITE) !== 0,
      executable: (flags & SHF_EXECINSTR) !== 0,
    });
  }
  return sections;
}

/** Sums the sections of an object file or a linked program. */
export function sectionSizes(elf: Uint8Array): SectionSizes {
  const sections = elfSections(elf);
  const sum = (choose: (section: ElfSection) => boolean): number => sections.filter(choose).reduce((total, { bytes }) => total + bytes, 0);
  const textBytes = sum((section) => section.stored && section.executable);
  const dataBytes = sum((section) => section.stored && !section.executable && section.writable);
  const rodataBytes = sum((section) => section.stored && !section.executable && !section.writable);
  const bssBytes = sum((section) => !section.stored && section.name !== ".stack");
  return {
    codeBytes: textBytes + rodataBytes,
    textBytes,
    rodataBytes,
    dataBytes,
    bssBytes,
    flashBytes: textBytes + rodataBytes + dataBytes,
    sections,
  };
}

/** A piece that the linker placed: `bytes` of the input section `symbolSection` of `object` in the output section `section`. */
export interface MapContribution {
  /** File name without folders; a library member is `libm.a(expf.o)`; padding is `*fill*`. */
  readonly object: string;
  readonly section: string;
  readonly symbolSection: string;
  readonly bytes: number;
}

function baseName(object: string): string {
  return object.replace(/^.*[/\\](?=[^/\\]*$)/, "");
}

const OUTPUT = /^(\.[\w.$-]+)(?:\s|$)/;
const INPUT = /^ (\*fill\*|COMMON|\.[^\s]+)(?:\s+0x[0-9a-f]+\s+0x([0-9a-f]+)(?:\s+(.*))?)?$/;
const CONTINUED = /^ {16}0x[0-9a-f]+\s+0x([0-9a-f]+)\s+(.*)$/;

/**
 * Every piece that a GNU ld map places, in order, with paddings as the object `*fill*`:
 * the bytes of an output section are the sum of its pieces.
 */
export function mapContributions(mapText: string): MapContribution[] {
  const found: MapContribution[] = [];
  const body = mapText.slice(Math.max(0, mapText.indexOf("Linker script and memory map")));
  let section = "";
  let pending: string | null = null;
  const add = (symbolSection: string, hex: string, object: string): void => {
    const bytes = Number.parseInt(hex, 16);
    if (bytes > 0) found.push({ object, section, symbolSection, bytes });
  };
  for (const line of body.split("\n")) {
    const continued = pending === null ? null : CONTINUED.exec(line);
    if (pending !== null && continued !== null) add(pending, continued[1]!, baseName(continued[2]!.trim()));
    pending = null;
    const output = OUTPUT.exec(line);
    if (output !== null) section = output[1]!;
    const input = INPUT.exec(line);
    if (input === null) continue;
    const [, name, hex, object] = input;
    if (hex === undefined) pending = name!;
    else if (name === "*fill*") add("", hex, "*fill*");
    else if (object !== undefined) add(name!, hex, baseName(object.trim()));
  }
  return found;
}

/** Bytes that one object file put into the given output sections. */
export function objectBytes(contributions: readonly MapContribution[], object: string, sections: readonly string[]): number {
  return contributions.filter((piece) => piece.object === object && sections.includes(piece.section)).reduce((total, { bytes }) => total + bytes, 0);
}
