import type { IncomingMessage, Server } from "node:http";
import type { Duplex } from "node:stream";
import { WebSocket, WebSocketServer } from "ws";
import { checkedJson, ClientMessage, Refusal, type ServerMessage } from "../protocol/index.ts";
import type { Seat } from "./presence.ts";
import type { Service } from "./service.ts";

const PATH = "/v1/socket";
/** No message of a client is longer. */
const MOST_MESSAGE_BYTES = 8 * 1024;
const PING_MS = 30_000;
/** Pings in a row that a client may leave unanswered: busy machines are slow, and so may this one be. */
const MOST_MISSED = 4;
/** A client that reads so slowly is as good as gone. */
const MOST_BUFFERED_BYTES = 1 << 20;
/** Codes of RFC 6455 and its registry. */
const [POLICY, RESTART] = [1008, 1012];

/** A client's connection: it says hello, and then whether it is ready. */
class ClientSocket {
  private readonly socket: WebSocket;
  private readonly service: Service;
  /** That it began with. */
  private readonly request: IncomingMessage;
  private readonly helloTimer: ReturnType<typeof setTimeout>;
  private client: number | undefined;
  private seat: Seat | undefined;
  private gone = false;
  /** Messages are answered one after the other. */
  private last: Promise<void> = Promise.resolve();
  private missed = 0;

  constructor(socket: WebSocket, request: IncomingMessage, service: Service) {
    this.socket = socket;
    this.request = request;
    this.service = service;
    this.helloTimer = setTimeout(() => this.refuse(new Refusal("unauthorized", "no hello came")), 1000 * service.limits.helloSeconds);
    socket.on("message", (data, isBinary) => {
      this.last = this.last.then(() => this.hear(isBinary ? null : data.toString()));
    });
    socket.on("pong", () => (this.missed = 0));
    // What is wrong with a frame is told by closing.
    socket.on("error", () => socket.terminate());
    socket.on("close", () => this.leave());
  }

  private leave(): void {
    this.gone = true;
    clearTimeout(this.helloTimer);
    this.seat?.leave();
    this.seat = undefined;
  }

  private say(message: ServerMessage): void {
    if (this.socket.readyState !== WebSocket.OPEN) return;
    if (this.socket.bufferedAmount > MOST_BUFFERED_BYTES) this.socket.terminate();
    else this.socket.send(JSON.stringify(message));
  }

  /** What the coordinator has for this client: who is shut out hears so last. */
  private tell(message: ServerMessage): void {
    if (message.type === "refused") this.refuse(new Refusal(message.error.code, message.error.message));
    else this.say(message);
  }

  private refuse(error: unknown): void {
    const refusal = this.service.refusalOf(error, "socket");
    this.say({ type: "refused", ...refusal.toJSON() });
    this.leave();
    this.socket.close(POLICY, refusal.reason);
  }

  private async hear(text: string | null): Promise<void> {
    if (this.gone) return;
    try {
      if (text === null) throw new Refusal("malformed", "messages on the socket are text");
      await this.answer(checkedJson(ClientMessage, text, "the message"));
      this.service.metrics.count("kinglet_messages_total", { kind: "socket", result: "accepted" });
    } catch (error) {
      this.refuse(error);
    }
  }

  private async answer(message: ClientMessage): Promise<void> {
    if (message.type === "hello") return await this.welcome(message.credential);
    const { client, seat } = this;
    if (client === undefined || seat === undefined) throw new Refusal("unauthorized", "the first message is a hello");
    this.service.admitClient(client);
    seat.setReady(message.type === "ready");
    if (message.type !== "ready") return;
    const answer = await this.service.coordinator.taskFor(client);
    if (answer !== null) seat.tell("task" in answer ? { type: "task", task: answer.task } : { type: "finished", version: answer.finished.version });
  }

  private async welcome(credential: string): Promise<void> {
    if (this.client !== undefined) throw new Refusal("malformed", "the hello came twice");
    const client = await this.service.coordinator.identify(credential);
    this.service.setKnown(this.request);
    this.service.admitClient(client);
    // It may have left while it was looked up.
    if (this.gone) return;
    clearTimeout(this.helloTimer);
    this.client = client;
    this.seat = this.service.coordinator.sit(client, (heard) => this.tell(heard));
    this.say({ type: "welcome", client });
    // Who was shut out before it had a seat was not told.
    await this.service.coordinator.identify(credential);
  }

  /** Pings, or ends a connection that has not answered for long. */
  check(): void {
    if (this.missed++ >= MOST_MISSED) this.socket.terminate();
    else this.socket.ping();
  }

  restart(): void {
    this.socket.close(RESTART, "the coordinator is stopping");
  }
}

function refuseUpgrade(stream: Duplex, refusal: Refusal): void {
  stream.end(`HTTP/1.1 ${refusal.status} Refused\r\nconnection: close\r\ncontent-type: application/json\r\n\r\n${JSON.stringify(refusal)}`);
}

/** Takes sockets in on a server; what it gives ends them. */
export function serveSockets(server: Server, service: Service): () => void {
  const sockets = new WebSocketServer({ noServer: true, maxPayload: MOST_MESSAGE_BYTES, perMessageDeflate: false, clientTracking: false });
  const open = new Set<ClientSocket>();
  server.on("upgrade", (request: IncomingMessage, stream: Duplex, head: Buffer) => {
    stream.on("error", () => stream.destroy());
    try {
      if (request.url?.split("?")[0] !== PATH) throw new Refusal("not-found", `sockets are at ${PATH}`);
      service.takeRequest(request, stream);
      service.admitAddress(service.addressOf(request));
    } catch (error) {
      return refuseUpgrade(stream, service.refusalOf(error, "socket"));
    }
    sockets.handleUpgrade(request, stream, head, (socket) => {
      const client = new ClientSocket(socket, request, service);
      open.add(client);
      socket.on("close", () => open.delete(client));
    });
  });
  const pings = setInterval(() => {
    for (const socket of open) socket.check();
  }, PING_MS);
  return () => {
    clearInterval(pings);
    for (const socket of open) socket.restart();
  };
}
