/** What went wrong at one byte of a buffer. */
export type FaultKind = "overwritten" | "out-of-bounds" | "unplaced";

export interface Fault {
  readonly kind: FaultKind;
  /** The byte within the buffer. */
  readonly byte: number;
  /** The buffer whose bytes lie there now, where another one's do. */
  readonly owner: number | undefined;
}

/**
 * Who owns each byte of the arena. A buffer never moves, so a byte that buffer b owns at address x can only be
 * b's byte x − offset(b): the owner alone says whether the content is b's own.
 */
export class ArenaTags {
  private readonly owners: Uint16Array;
  private readonly offsets: readonly number[];
  private readonly sizes: readonly number[];
  /** Bytes that each buffer owns; a buffer that owns all of its bytes can be read without looking at them. */
  private readonly owned: Int32Array;

  constructor(arenaBytes: number, offsets: readonly number[], sizes: readonly number[]) {
    this.owners = new Uint16Array(arenaBytes);
    this.offsets = offsets;
    this.sizes = sizes;
    this.owned = new Int32Array(sizes.length + 1);
  }

  size(buffer: number): number {
    return this.sizes[buffer]!;
  }

  /** The first byte in [from, to) that is not the buffer's own, or −1. */
  foreign(buffer: number, from: number, to: number): number {
    if (this.owned[buffer + 1] === this.sizes[buffer]) return -1;
    const { owners } = this;
    const base = this.offsets[buffer]!;
    for (let x = base + from; x < base + to; x++) if (owners[x] !== buffer + 1) return x - base;
    return -1;
  }

  ownerAt(buffer: number, byte: number): number | undefined {
    const tag = this.owners[this.offsets[buffer]! + byte] ?? 0;
    return tag === 0 ? undefined : tag - 1;
  }

  claim(buffer: number, from: number, to: number): void {
    const { owners, owned } = this;
    const tag = buffer + 1;
    // Stores whose place depends on data claim the whole buffer, each of them.
    if (owned[tag] === this.sizes[buffer]) return;
    const base = this.offsets[buffer]!;
    for (let x = base + from; x < base + to; x++) {
      const before = owners[x]!;
      if (before === tag) continue;
      owned[before]!--;
      owned[tag]!++;
      owners[x] = tag;
    }
  }
}
