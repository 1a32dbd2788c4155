/** What a simulated client remembers between rounds: what compression left of its updates, or its control variate. */
export type Remembered = "rest" | "control";

/** Where simulated clients remember: one vector of each kind for every client that was in a round. */
export interface ClientMemory {
  recall(kind: Remembered, client: number): Promise<Float32Array | undefined>;
  keep(kind: Remembered, client: number, vector: Float32Array): Promise<void>;
}

/** In this process's memory; for very many clients there is `ClientFile`. */
export function clientsInMemory(): ClientMemory {
  const vectors = new Map<string, Float32Array>();
  return {
    recall: async (kind, client) => vectors.get(`${kind} ${client}`),
    keep: async (kind, client, vector) => {
      vectors.set(`${kind} ${client}`, vector);
    },
  };
}
