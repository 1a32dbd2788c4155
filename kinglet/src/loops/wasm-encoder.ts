/** Writes the binary format of WebAssembly 2.0: numbers, sections, modules. Knows nothing of loop programs. */

export const VALUE = { i32: 0x7f, i64: 0x7e, f32: 0x7d, v128: 0x7b } as const;

export type WasmType = (typeof VALUE)[keyof typeof VALUE];

export const PAGE_BYTES = 65536;

export interface WasmFunction {
  readonly name: string;
  readonly params: readonly WasmType[];
  readonly results: readonly WasmType[];
  /** Types of the locals that follow the parameters. */
  readonly locals: readonly WasmType[];
  /** Instructions without the final `end`. */
  readonly code: readonly number[];
  /** Visible from outside under its name. */
  readonly exported: boolean;
}

export interface DataSegment {
  readonly offset: number;
  readonly bytes: Uint8Array;
}

export interface WasmModule {
  readonly functions: readonly WasmFunction[];
  /** The function that runs when the module is instantiated. */
  readonly start?: number;
  /** The exported "memory" has exactly this size for ever. */
  readonly pages: number;
  /** The memory is not the module's own: "env" "memory", which threads share. */
  readonly sharedMemory?: boolean;
  readonly segments: readonly DataSegment[];
  readonly custom: readonly { readonly name: string; readonly bytes: Uint8Array }[];
  /** Adds a name section, so that disassemblers, traps and profilers show the functions' names. */
  readonly names: boolean;
}

type Bytes = ArrayLike<number>;

/** LEB128 of a number from 0 to 2^32 - 1. */
export function unsigned(value: number): number[] {
  const out: number[] = [];
  let rest = value;
  while (rest >= 128) {
    out.push((rest % 128) | 128);
    rest = Math.floor(rest / 128);
  }
  out.push(rest);
  return out;
}

/** Signed LEB128 of a 32-bit integer. */
export function signed(value: number): number[] {
  const out: number[] = [];
  let rest = value | 0;
  while (rest < -64 || rest > 63) {
    out.push((rest & 127) | 128);
    rest >>= 7;
  }
  out.push(rest & 127);
  return out;
}

/** Signed LEB128 of a 64-bit integer. */
export function signed64(value: bigint): number[] {
  const out: number[] = [];
  let rest = BigInt.asIntN(64, value);
  while (rest < -64n || rest > 63n) {
    out.push(Number(rest & 127n) | 128);
    rest >>= 7n;
  }
  out.push(Number(rest & 127n));
  return out;
}

/** The four bytes of an IEEE single. */
export function floatBytes(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setFloat32(0, value, true);
  return bytes;
}

/** Bytes in pieces. Sections hold lists hold segments: they are copied once, into the module, however large a network's tables are. */
class Pieces {
  readonly parts: readonly (Bytes | Pieces)[];
  readonly length: number;

  constructor(parts: readonly (Bytes | Pieces)[]) {
    this.parts = parts;
    this.length = parts.reduce((total, part) => total + part.length, 0);
  }

  private copy(to: Uint8Array, from: number): void {
    let at = from;
    for (const part of this.parts) {
      if (part instanceof Pieces) part.copy(to, at);
      else to.set(part, at);
      at += part.length;
    }
  }

  joined(): Uint8Array {
    const out = new Uint8Array(this.length);
    this.copy(out, 0);
    return out;
  }
}

function concat(parts: readonly (Bytes | Pieces)[]): Pieces {
  return new Pieces(parts);
}

function sized(bytes: Bytes | Pieces): Pieces {
  return concat([unsigned(bytes.length), bytes]);
}

function text(value: string): Pieces {
  return sized(new TextEncoder().encode(value));
}

function list(items: readonly (Bytes | Pieces)[]): Pieces {
  return concat([unsigned(items.length), ...items]);
}

function section(id: number, content: Bytes | Pieces): Pieces {
  return concat([[id], sized(content)]);
}

function signature(f: WasmFunction): Pieces {
  return concat([[0x60], list(f.params.map((t) => [t])), list(f.results.map((t) => [t]))]);
}

/** Runs of equal types, as the format wants them. */
function localRuns(types: readonly WasmType[]): Pieces {
  const runs: { type: WasmType; count: number }[] = [];
  for (const type of types) {
    const last = runs[runs.length - 1];
    if (last?.type === type) last.count++;
    else runs.push({ type, count: 1 });
  }
  return list(runs.map((run) => [...unsigned(run.count), run.type]));
}

function exportsOf(module: WasmModule): Pieces {
  const memory = concat([text("memory"), [2, 0]]);
  const functions = module.functions.flatMap((f, i) => (f.exported ? [concat([text(f.name), [0], unsigned(i)])] : []));
  return list([memory, ...functions]);
}

function nameSection(module: WasmModule): Pieces {
  const names = list(module.functions.map((f, i) => concat([unsigned(i), text(f.name)])));
  return section(0, concat([text("name"), [1], sized(names)]));
}

/** Signatures, each once, and which of them every function has. */
function signatures(module: WasmModule): { types: Uint8Array[]; uses: number[] } {
  const known = new Map<string, number>();
  const types: Uint8Array[] = [];
  const uses = module.functions.map((f) => {
    const bytes = signature(f).joined();
    const key = bytes.join();
    if (!known.has(key)) known.set(key, types.push(bytes) - 1);
    return known.get(key)!;
  });
  return { types, uses };
}

function memorySection(pages: number): Pieces {
  return section(5, concat([[1, 1], unsigned(pages), unsigned(pages)]));
}

export function encodeModule(module: WasmModule): Uint8Array {
  const { types, uses } = signatures(module);
  const bodies = module.functions.map((f) => sized(concat([localRuns(f.locals), f.code, [0x0b]])));
  const segments = module.segments.map((s) => concat([[0, 0x41], signed(s.offset), [0x0b], sized(s.bytes)]));
  return concat([
    [0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    section(1, list(types)),
    ...(module.sharedMemory === true
      ? [section(2, list([concat([text("env"), text("memory"), [2, 3], unsigned(module.pages), unsigned(module.pages)])]))]
      : []),
    section(3, list(uses.map(unsigned))),
    ...(module.sharedMemory === true ? [] : [memorySection(module.pages)]),
    section(7, exportsOf(module)),
    ...(module.start === undefined ? [] : [section(8, unsigned(module.start))]),
    section(10, list(bodies)),
    ...(segments.length > 0 ? [section(11, list(segments))] : []),
    ...module.custom.map((c) => section(0, concat([text(c.name), c.bytes]))),
    ...(module.names ? [nameSection(module)] : []),
  ]).joined();
}
