import { setMaxListeners } from "node:events";
import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import { Refusal } from "../protocol/index.ts";
import type { Coordinator } from "./coordinator.ts";
import type { Hooks } from "./hooks.ts";
import { ConnectionPlaces, type Place } from "./connection-places.ts";
import { type Limits, networkOf, RateLimiter } from "./limits.ts";
import { Metrics } from "./metrics.ts";

/** Updates that a client may be sending at a time: each takes as much memory as the model, for as long as a request may last. */
const MOST_BODIES = 2;

/** Something that says once that it is over. */
interface Closing {
  once(event: "close", listener: () => void): unknown;
}

/** What HTTP and sockets of one server share. */
export class Service {
  readonly coordinator: Coordinator;
  readonly limits: Limits;
  readonly metrics = new Metrics();
  readonly hooks: Hooks;
  private readonly clients: RateLimiter;
  private readonly addresses: RateLimiter;
  private readonly behindProxy: boolean;
  private readonly places: ConnectionPlaces;
  /** By connection; behind a proxy, which lends its own to one client after the other, by request. */
  private readonly taken = new WeakMap<object, Place>();
  private readonly bodies = new Map<number, number>();
  private readonly stop = new AbortController();

  constructor(coordinator: Coordinator, limits: Limits, hooks: Hooks, behindProxy: boolean) {
    this.coordinator = coordinator;
    this.limits = limits;
    this.hooks = hooks;
    this.behindProxy = behindProxy;
    this.places = new ConnectionPlaces(limits);
    // Every long poll listens; Node would take more than ten for a leak.
    setMaxListeners(0, this.stop.signal);
    this.clients = new RateLimiter(limits.client, hooks.now);
    this.addresses = new RateLimiter(limits.address, hooks.now);
  }

  /** Aborts when the server stops. */
  get stopping(): AbortSignal {
    return this.stop.signal;
  }

  beginStop(): void {
    this.stop.abort();
  }

  /** Who sends; behind a proxy what that says last, since clients may have written the rest. */
  addressOf({ socket, headers }: IncomingMessage): string {
    const forwarded = headers["x-forwarded-for"];
    const told = this.behindProxy ? [forwarded ?? []].flat().join(",").split(",").at(-1)?.trim() : undefined;
    return told === undefined || told === "" ? (socket.remoteAddress ?? "unknown") : told;
  }

  /** Takes a connection in; false where its network has too many already. A proxy's are everybody's: those are counted by their requests. */
  takeConnection(socket: Socket): boolean {
    return this.behindProxy || this.take(socket, socket.remoteAddress ?? "unknown", socket);
  }

  /** Behind a proxy, a request or a socket as a connection, until `until` closes. @throws Refusal `rate-limited`. */
  takeRequest(request: IncomingMessage, until: Closing): void {
    if (this.behindProxy && !this.take(request, this.addressOf(request), until))
      throw new Refusal("rate-limited", "too many connections come from this address");
  }

  private take(key: object, address: string, until: Closing): boolean {
    const place = this.places.take(networkOf(address));
    if (place === null) {
      this.metrics.count("kinglet_connections_refused_total");
      return false;
    }
    this.taken.set(key, place);
    until.once("close", () => place.leave());
    return true;
  }

  /** Whoever sends this has shown who that is. */
  setKnown(request: IncomingMessage): void {
    this.taken.get(this.behindProxy ? request : request.socket)?.setKnown();
  }

  /** @throws Refusal `rate-limited`, or `unavailable` where the server is stopping. */
  admitAddress(address: string): void {
    if (this.stopping.aborted) throw new Refusal("unavailable", "the coordinator is stopping");
    if (!this.addresses.take(networkOf(address))) throw new Refusal("rate-limited", "too many messages come from this address");
  }

  /** @throws Refusal `rate-limited`. */
  admitClient(client: number): void {
    if (!this.clients.take(String(client))) throw new Refusal("rate-limited", `client ${client} sends too many messages`);
  }

  /** Reads a long message of a client. @throws Refusal `rate-limited` while it is sending others. */
  async reading<T>(client: number, read: () => Promise<T>): Promise<T> {
    const before = this.bodies.get(client) ?? 0;
    if (before >= MOST_BODIES) throw new Refusal("rate-limited", `client ${client} sends more than ${MOST_BODIES} updates at a time`);
    this.bodies.set(client, before + 1);
    try {
      return await read();
    } finally {
      const left = this.bodies.get(client)! - 1;
      if (left === 0) this.bodies.delete(client);
      else this.bodies.set(client, left);
    }
  }

  /** What the sender hears of an error, and what is counted and logged of it. */
  refusalOf(error: unknown, kind: string): Refusal {
    const refusal = error instanceof Refusal ? error : new Refusal("internal", "something went wrong in the coordinator");
    this.metrics.count("kinglet_messages_total", { kind, result: refusal.reason });
    // Whoever sends too much must not fill the disk, too.
    if (refusal.reason === "rate-limited") return refusal;
    if (refusal === error) this.hooks.log({ event: "refused", level: "warn", kind, reason: refusal.reason, message: refusal.message });
    else this.hooks.log({ event: "failed", level: "error", kind, message: error instanceof Error ? error.message : String(error) });
    return refusal;
  }
}
