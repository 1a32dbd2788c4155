import type { Hooks } from "./hooks.ts";
import { type Presence, Seats } from "./presence.ts";

/** What the processes of a coordinator do for its rounds. All that is known of these lies in the store. */
export interface Rounds {
  /** Does what is due. Gives when to look again, in milliseconds since 1970; null where that is when somebody wakes it. */
  look(): Promise<number | null>;
  /** Tells the clients of one process what they may not have heard. */
  remind(here: Presence): Promise<void>;
}

/**
 * How the processes of a coordinator work together: who of their clients is there, and which of them looks at the rounds. Nothing that was
 * promised rests on it: two looks at once, and looks that never come, cost time and change no result, since the store decides.
 */
export interface Processes {
  readonly presence: Presence;
  /** Whether no other process was there when this one came. */
  readonly first: boolean;
  /** From now on somebody looks when it is due, one look at a time. */
  start(rounds: Rounds): void;
  /** Something has changed: somebody is to look. */
  wake(): void;
  /** Whether the others can be reached; null where there are none. */
  reached(): boolean | null;
  /** Waits for a look that goes on here. */
  stop(): Promise<void>;
}

/** Begins to work on a federation, whose name is unlike all others'. */
export type Join = (federation: string, hooks: Hooks) => Promise<Processes>;

const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** One process alone: its own timers. */
class OneProcess implements Processes {
  readonly presence: Presence;
  readonly first = true;
  private readonly hooks: Hooks;
  private rounds: Rounds | undefined;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private running: Promise<void> | undefined;
  private again = false;
  private stopped = false;

  constructor(hooks: Hooks) {
    this.hooks = hooks;
    this.presence = new Seats(hooks.now, (ready) => {
      if (ready) this.wake();
    });
  }

  start(rounds: Rounds): void {
    this.rounds = rounds;
    this.wake();
  }

  wake(): void {
    if (this.stopped || this.rounds === undefined) return;
    this.again = true;
    this.running ??= this.run(this.rounds).finally(() => (this.running = undefined));
  }

  private async run(rounds: Rounds): Promise<void> {
    // Whoever wakes in the same moment is served by the same look.
    await new Promise((done) => setImmediate(done));
    while (this.again && !this.stopped) {
      this.again = false;
      const next = await rounds.look();
      if (next !== null) this.lookAt(next);
    }
  }

  private lookAt(time: number): void {
    clearTimeout(this.timer);
    if (this.stopped) return;
    const ms = time - this.hooks.now();
    if (ms <= 0) this.again = true;
    else this.timer = setTimeout(() => this.wake(), Math.min(LONGEST_TIMER_MS, ms));
  }

  reached(): null {
    return null;
  }

  async stop(): Promise<void> {
    this.stopped = true;
    clearTimeout(this.timer);
    await this.running;
  }
}

export const oneProcess: Join = async (_federation, hooks) => new OneProcess(hooks);
