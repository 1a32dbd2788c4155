/** What a client keeps: who it is, and what it remembers of its rounds. */
export type Kept = "identity" | "memory";

/** A place that outlives the program, so that a client stays the same one and goes on where it was. */
export interface ClientStore {
  /** Null where nothing was saved. */
  load(what: Kept): Promise<Uint8Array | null>;
  /** All of it or nothing; once it resolves, it is there after a crash. */
  save(what: Kept, bytes: Uint8Array): Promise<void>;
}
