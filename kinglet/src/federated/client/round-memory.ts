import type { ClientMemory } from "../client-round.ts";
import { decodeMemory, encodeMemory, type Remembered, type Unheard } from "./memory-file.ts";
import type { ClientStore } from "./store.ts";

/**
 * What a client goes on with from round to round (top-k's rest, SCAFFOLD's control variate), also after it was killed. An update is kept with
 * what would be remembered after it before it is sent; sent again, it is acknowledged again and counts once. So whether it arrived can always be
 * found out, and what it changes is neither lost nor done twice.
 */
export class RoundMemory {
  private remembered: Remembered;
  private readonly store: ClientStore | undefined;

  private constructor(remembered: Remembered, store: ClientStore | undefined) {
    this.remembered = remembered;
    this.store = store;
  }

  /** What was kept by this `owner`; nothing where there is none, or another one's. @throws KingletError `bad-file` where it is damaged. */
  static async open(owner: string, store: ClientStore | undefined): Promise<RoundMemory> {
    const bytes = (await store?.load("memory")) ?? null;
    const kept = bytes === null ? undefined : decodeMemory(bytes);
    return new RoundMemory(kept?.owner === owner ? kept : { owner, memory: {} }, store);
  }

  get memory(): ClientMemory {
    return this.remembered.memory;
  }

  /** The update of which nobody knows yet whether it arrived. */
  get unheard(): Unheard | undefined {
    return this.remembered.unheard;
  }

  private async keep(remembered: Remembered): Promise<void> {
    this.remembered = remembered;
    await this.store?.save("memory", encodeMemory(remembered));
  }

  /** Before it is sent. Whoever has nothing to remember has nothing to lose, either. */
  async sending(unheard: Unheard): Promise<void> {
    const { owner, memory } = this.remembered;
    if (Object.keys(unheard.memory).length > 0) await this.keep({ owner, memory, unheard });
  }

  /** It is acknowledged. */
  async arrived(): Promise<void> {
    const { owner, unheard } = this.remembered;
    if (unheard !== undefined) await this.keep({ owner, memory: unheard.memory });
  }

  /** It was refused, and so it never was there. */
  async refused(): Promise<void> {
    const { owner, memory, unheard } = this.remembered;
    if (unheard !== undefined) await this.keep({ owner, memory });
  }
}
