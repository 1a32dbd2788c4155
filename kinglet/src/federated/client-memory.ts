import type { ClientMemory } from "./client-round.ts";

/** Where simulated clients remember from round to round. */
export interface ClientMemories {
  /** Nothing for a client that was in no round yet. */
  recall(client: number): Promise<ClientMemory>;
  keep(client: number, memory: ClientMemory): Promise<void>;
}

/** In this process's memory; for very many clients there is `ClientFile`. */
export function clientsInMemory(): ClientMemories {
  const memories = new Map<number, ClientMemory>();
  return {
    recall: async (client) => memories.get(client) ?? {},
    keep: async (client, memory) => {
      memories.set(client, memory);
    },
  };
}
