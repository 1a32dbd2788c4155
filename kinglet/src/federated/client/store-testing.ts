import type { ClientStore } from "./store.ts";

/** A store in this process, with what it keeps at hand; for tests only. */
export interface StoreInMemory extends ClientStore {
  identity: string | undefined;
  memory: Uint8Array | undefined;
}

export function storeInMemory(identity?: string): StoreInMemory {
  const kept: StoreInMemory = {
    identity,
    memory: undefined,
    load: async (what) => {
      if (what === "memory") return kept.memory ?? null;
      return kept.identity === undefined ? null : new TextEncoder().encode(kept.identity);
    },
    save: async (what, bytes) => {
      if (what === "memory") kept.memory = bytes.slice();
      else kept.identity = new TextDecoder().decode(bytes);
    },
  };
  return kept;
}
