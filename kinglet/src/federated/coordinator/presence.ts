import { Refusal, type ServerMessage } from "../protocol/index.ts";

/** What a client hears while it is there. */
export type Listener = (message: ServerMessage) => void;

/** One connection of a client. */
export interface Seat {
  /** Whether the client would train now. */
  setReady(ready: boolean): void;
  /** The connection is over; a client that asks again and again stays ready in between, for `graceMs`. */
  leave(graceMs?: number): void;
}

interface Place {
  readonly seats: Map<object, { ready: boolean; readonly listener: Listener }>;
  readyUntil: number;
}

/** Connections of one client: some may have died without a word. */
const MOST_SEATS = 8;

/** Who is connected and ready. Nothing of it is durable: after a restart clients connect again. */
export class Presence {
  private readonly places = new Map<number, Place>();
  private readonly now: () => number;
  private readonly onReady: () => void;

  constructor(now: () => number, onReady: () => void) {
    this.now = now;
    this.onReady = onReady;
  }

  /** @throws Refusal `rate-limited` where the client has too many connections already: it would take those of others. */
  sit(client: number, listener: Listener): Seat {
    const place = this.places.get(client) ?? { seats: new Map(), readyUntil: 0 };
    if (place.seats.size >= MOST_SEATS) throw new Refusal("rate-limited", `client ${client} has ${MOST_SEATS} connections, the most that it may`);
    this.places.set(client, place);
    const key = {};
    const seat = { ready: false, listener };
    place.seats.set(key, seat);
    return {
      setReady: (ready) => {
        seat.ready = ready;
        if (ready) this.onReady();
      },
      leave: (graceMs = 0) => {
        place.seats.delete(key);
        if (graceMs > 0) place.readyUntil = this.now() + graceMs;
      },
    };
  }

  /** Clients that would train now, by number. Those who have long left are forgotten. */
  ready(): number[] {
    const ready: number[] = [];
    for (const [client, { seats, readyUntil }] of this.places) {
      if (readyUntil > this.now() || [...seats.values()].some((seat) => seat.ready)) ready.push(client);
      else if (seats.size === 0) this.places.delete(client);
    }
    return ready.sort((a, b) => a - b);
  }

  get connections(): number {
    let count = 0;
    for (const { seats } of this.places.values()) count += seats.size;
    return count;
  }

  tell(client: number, message: ServerMessage): void {
    for (const { listener } of [...(this.places.get(client)?.seats.values() ?? [])]) listener(message);
  }

  tellAll(message: ServerMessage): void {
    for (const client of [...this.places.keys()]) this.tell(client, message);
  }
}
