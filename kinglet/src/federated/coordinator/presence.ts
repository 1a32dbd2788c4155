import { placeOfTask, Refusal, type ServerMessage } from "../protocol/index.ts";

/** What a client hears while it is there. */
export type Listener = (message: ServerMessage) => void;

/** One connection of a client. */
export interface Seat {
  /** Whether the client would train now. */
  setReady(ready: boolean): void;
  /** Tells this connection alone, whatever it has heard before. */
  tell(message: ServerMessage): void;
  /** The connection is over; a client that asks again and again stays ready in between, for `graceMs`. */
  leave(graceMs?: number): void;
}

/** Who is there. */
export interface Everybody {
  /** Clients that would train now, by number. */
  readonly ready: readonly number[];
  readonly connections: number;
}

/** Who is connected and ready. Nothing of it is durable: after a restart clients connect again. */
export interface Presence {
  /** @throws Refusal `rate-limited` where the client has too many connections already: it would take those of others. */
  sit(client: number, listener: Listener): Seat;
  /** Who sits in this process. */
  here(): Everybody;
  /** In all processes. */
  everybody(): Promise<Everybody>;
  /** Reaches the client in whichever process it sits. */
  tell(client: number, message: ServerMessage): void;
  tellAll(message: ServerMessage): void;
}

class Taken {
  ready = false;
  /** Of the last task that it was told (`placeOfTask`): one that is told again in case it was missed comes once. */
  private place = 0;
  private readonly listener: Listener;

  constructor(listener: Listener) {
    this.listener = listener;
  }

  tell(message: ServerMessage): void {
    if (message.type === "task") this.place = placeOfTask(message.task);
    this.listener(message);
  }

  tellOnce(message: ServerMessage): void {
    if (message.type !== "task" || placeOfTask(message.task) > this.place) this.tell(message);
  }
}

interface Place {
  readonly seats: Map<object, Taken>;
  readyUntil: number;
}

/** Connections of one client: some may have died without a word. */
const MOST_SEATS = 8;

/** The clients of one process. */
export class Seats implements Presence {
  private readonly places = new Map<number, Place>();
  private readonly now: () => number;
  private readonly onChange: (ready: boolean) => void;

  /** @param onChange told whenever somebody is ready, or is not any more. */
  constructor(now: () => number, onChange: (ready: boolean) => void) {
    this.now = now;
    this.onChange = onChange;
  }

  sit(client: number, listener: Listener): Seat {
    const place = this.places.get(client) ?? { seats: new Map(), readyUntil: 0 };
    if (place.seats.size >= MOST_SEATS) throw new Refusal("rate-limited", `client ${client} has ${MOST_SEATS} connections, the most that it may`);
    this.places.set(client, place);
    const key = {};
    const seat = new Taken(listener);
    place.seats.set(key, seat);
    return {
      setReady: (ready) => {
        seat.ready = ready;
        this.onChange(ready);
      },
      tell: (message) => seat.tell(message),
      leave: (graceMs = 0) => {
        place.seats.delete(key);
        if (graceMs > 0) place.readyUntil = this.now() + graceMs;
        this.onChange(false);
      },
    };
  }

  /** Those who have long left are forgotten. */
  here(): Everybody {
    const ready: number[] = [];
    let connections = 0;
    for (const [client, { seats, readyUntil }] of this.places) {
      connections += seats.size;
      if (readyUntil > this.now() || [...seats.values()].some((seat) => seat.ready)) ready.push(client);
      else if (seats.size === 0) this.places.delete(client);
    }
    return { ready: ready.sort((a, b) => a - b), connections };
  }

  async everybody(): Promise<Everybody> {
    return this.here();
  }

  tell(client: number, message: ServerMessage): void {
    for (const seat of [...(this.places.get(client)?.seats.values() ?? [])]) seat.tellOnce(message);
  }

  tellAll(message: ServerMessage): void {
    for (const client of [...this.places.keys()]) this.tell(client, message);
  }
}
