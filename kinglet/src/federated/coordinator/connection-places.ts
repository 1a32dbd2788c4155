import type { Limits } from "./limits.ts";

/** One connection, as far as it is counted. */
export interface Place {
  /** Somebody has shown on it who that is. */
  setKnown(): void;
  leave(): void;
}

/** How many connections each network has, so that nobody takes those of everybody else. */
export class ConnectionPlaces {
  private readonly limits: Pick<Limits, "networkConnections" | "strangerConnections">;
  private readonly networks = new Map<string, { all: number; strangers: number }>();

  constructor(limits: Pick<Limits, "networkConnections" | "strangerConnections">) {
    this.limits = limits;
  }

  /** One more; null where the network has as many as it may. */
  take(network: string): Place | null {
    const { networkConnections, strangerConnections } = this.limits;
    const count = this.networks.get(network) ?? { all: 0, strangers: 0 };
    if (count.all >= networkConnections || count.strangers >= strangerConnections) return null;
    this.networks.set(network, count);
    count.all++;
    count.strangers++;
    let known = false;
    const setKnown = (): void => {
      if (!known) count.strangers--;
      known = true;
    };
    return {
      setKnown,
      leave: () => {
        setKnown();
        if (--count.all === 0) this.networks.delete(network);
      },
    };
  }
}
