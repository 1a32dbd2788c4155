import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { getRequestListener } from "@hono/node-server";
import { KingletError } from "../../base/index.ts";
import type { Coordinator } from "./coordinator.ts";
import type { Hooks } from "./hooks.ts";
import { federationApp } from "./http.ts";
import { DEFAULT_LIMITS, type Limits } from "./limits.ts";
import { Service } from "./service.ts";
import { serveSockets } from "./sockets.ts";

export interface ServerOptions {
  /** 0, the default, takes a free one. */
  readonly port?: number;
  /** The addresses to listen at; all of this machine's by default. */
  readonly host?: string;
  readonly limits?: Partial<Limits>;
  /** Takes a client's address from what a proxy in front says (`X-Forwarded-For`). */
  readonly behindProxy?: boolean;
  readonly hooks?: Partial<Hooks>;
}

export interface FederationServer {
  readonly port: number;
  /** Lets messages that are here be answered, and then ends; the coordinator goes on. */
  stop(): Promise<void>;
}

const HEADER_MS = 60_000;
/** Longer than clients and proxies keep a connection that rests: then they end it, and never while they send. */
const REST_MS = 75_000;
/** How long a stop waits for messages that are not whole yet. */
const PATIENCE_MS = 3000;

/** Puts a coordinator on the network. @throws KingletError `misuse` where it cannot listen, as at a port in use; nothing goes on then. */
export async function serveFederation(coordinator: Coordinator, options: ServerOptions = {}): Promise<FederationServer> {
  const { port = 0, host, behindProxy = false } = options;
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  const service = new Service(coordinator, limits, { now: Date.now, log: () => {}, ...options.hooks }, behindProxy);
  const requestTimeout = 1000 * limits.requestSeconds;
  const server = createServer(
    {
      requestTimeout,
      headersTimeout: Math.min(HEADER_MS, requestTimeout),
      connectionsCheckingInterval: Math.min(1000, requestTimeout),
      keepAliveTimeout: REST_MS,
    },
    getRequestListener(federationApp(service).fetch, { overrideGlobalObjects: false }),
  );
  server.maxConnections = limits.connections;
  server.on("connection", (socket) => {
    if (!service.takeConnection(socket)) socket.destroy();
  });
  server.timeout = 1000 * limits.quietSeconds;
  const endSockets = serveSockets(server, service);
  try {
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(port, host, resolve);
    });
  } catch (cause) {
    service.beginStop();
    endSockets();
    throw new KingletError("misuse", `cannot listen on port ${port}: ${(cause as Error).message}`, { hint: "Take another port." });
  }
  return {
    port: (server.address() as AddressInfo).port,
    stop: async () => {
      service.beginStop();
      endSockets();
      const closed = new Promise<void>((done) => server.close(() => done()));
      server.closeIdleConnections();
      const timer = setTimeout(() => server.closeAllConnections(), PATIENCE_MS);
      await closed;
      clearTimeout(timer);
    },
  };
}
