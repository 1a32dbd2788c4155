import { randomBytes } from "node:crypto";
import type { Redis } from "ioredis";
import type { ServerMessage } from "../protocol/index.ts";
import { type Everybody, type Listener, type Presence, type Seat, Seats } from "./presence.ts";

/** After how long without a word a process is forgotten, with all its clients. */
const FORGET_MS = 4000;
/** Who comes and goes within this time is told in one word. */
const GATHER_MS = 25;

/** What a process says to all: `client` is whom it is for, null for everybody. */
interface Told {
  readonly client: number | null;
  readonly message: ServerMessage;
}

/** Clients of all processes. Each has its own seats, and says in Redis who is ready; what it says is forgotten unless it is said again. */
export class SharedPresence implements Presence {
  readonly seats: Seats;
  /** Called when somebody is ready here and the other processes can know it. */
  onReady: () => void = () => {};
  private readonly redis: Redis;
  private readonly channel: string;
  /** Of the set of all processes' keys. */
  private readonly all: string;
  /** Of what this process says. */
  private readonly own: string;
  private gathering: ReturnType<typeof setTimeout> | undefined;
  private isNews = false;

  /** @param channel where processes hear each other; the names of their keys begin with it. */
  constructor(redis: Redis, channel: string, now: () => number) {
    this.redis = redis;
    this.channel = channel;
    this.all = `${channel}:processes`;
    this.own = `${channel}:process:${randomBytes(8).toString("hex")}`;
    this.seats = new Seats(now, (ready) => {
      this.isNews ||= ready;
      this.gathering ??= setTimeout(() => void this.say(), GATHER_MS);
    });
  }

  /** Says who is here. */
  async say(): Promise<void> {
    clearTimeout(this.gathering);
    this.gathering = undefined;
    const isNews = this.isNews;
    this.isNews = false;
    try {
      await this.redis.multi().set(this.own, JSON.stringify(this.here()), "PX", FORGET_MS).sadd(this.all, this.own).exec();
      if (isNews) this.onReady();
    } catch {
      // It is said again soon.
      this.isNews ||= isNews;
    }
  }

  /** Nobody is here any more. */
  async leave(): Promise<void> {
    clearTimeout(this.gathering);
    await this.redis.multi().del(this.own).srem(this.all, this.own).exec();
  }

  sit(client: number, listener: Listener): Seat {
    return this.seats.sit(client, listener);
  }

  here(): Everybody {
    return this.seats.here();
  }

  /** What the processes say that are alive. */
  private async said(): Promise<Everybody[]> {
    const keys = await this.redis.smembers(this.all);
    if (keys.length === 0) return [];
    const texts = await this.redis.mget(keys);
    const dead = keys.filter((_, i) => texts[i] === null);
    if (dead.length > 0) await this.redis.srem(this.all, dead);
    return texts.flatMap((text) => (text === null ? [] : [JSON.parse(text!) as Everybody]));
  }

  async everybody(): Promise<Everybody> {
    const said = await this.said();
    const ready = new Set(said.flatMap((each) => each.ready));
    return { ready: [...ready].sort((a, b) => a - b), connections: said.reduce((sum, each) => sum + each.connections, 0) };
  }

  /** Whether no process is alive that has said who is with it. */
  async nobody(): Promise<boolean> {
    return (await this.said()).length === 0;
  }

  tell(client: number, message: ServerMessage): void {
    this.publish({ client, message });
  }

  tellAll(message: ServerMessage): void {
    this.publish({ client: null, message });
  }

  /** What is lost here is told again by `Rounds.remind`. */
  private publish(told: Told): void {
    this.redis.publish(this.channel, JSON.stringify(told)).catch(() => {});
  }

  /** What some process has said, this one too. */
  hear(text: string): void {
    const { client, message } = JSON.parse(text) as Told;
    if (client === null) this.seats.tellAll(message);
    else this.seats.tell(client, message);
  }
}
