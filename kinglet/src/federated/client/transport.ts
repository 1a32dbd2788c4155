import { checkedJson, type ClientMessage, Refusal, ServerMessage, type TaskAnswer } from "../protocol/index.ts";
import type { CoordinatorApi, Identity } from "./api.ts";

/** How a client hears what it is to do. */
export interface Transport {
  /** Says that it is ready, and waits; null asks to be called again. Fails where the connection does. */
  next(): Promise<TaskAnswer | null>;
  close(): void;
}

/** What of a page's `WebSocket` is used, and of Node's `ws`. */
export interface Socket {
  readonly readyState: number;
  send(text: string): void;
  close(): void;
  addEventListener(kind: "open" | "close" | "error", listener: () => void): void;
  addEventListener(kind: "message", listener: (event: { readonly data: unknown }) => void): void;
}

/** Whose identity has another credential after a while. */
export interface Member {
  readonly identity: Identity;
}

/** Called with a round that goes on without this client. */
export type OnClosed = (round: number) => void;

const OPEN_MS = 10_000;
/** A socket whose other end has vanished says nothing; it is noticed when something is said. */
const SAY_AGAIN_MS = 60_000;

/** Tasks as they are pushed on a socket. */
export class SocketTransport implements Transport {
  private readonly socket: Socket;
  private readonly onClosed: OnClosed;
  private said: TaskAnswer | undefined;
  private failure: Error | undefined;
  private wake: () => void = () => {};

  private constructor(socket: Socket, onClosed: OnClosed) {
    this.socket = socket;
    this.onClosed = onClosed;
  }

  /** Resolves once the coordinator has said welcome. @throws Refusal where it does not want this client, Error where there is no connection. */
  static async open(socket: Socket, { credential }: Identity, onClosed: OnClosed): Promise<SocketTransport> {
    const transport = new SocketTransport(socket, onClosed);
    await new Promise<void>((done, fail) => {
      const timer = setTimeout(() => transport.fail(new Error("no socket opened in time")), OPEN_MS);
      const settle = (): void => {
        clearTimeout(timer);
        if (transport.failure === undefined) done();
        else fail(transport.failure);
      };
      transport.wake = settle;
      socket.addEventListener("open", () => transport.say({ type: "hello", credential }));
      socket.addEventListener("message", ({ data }) => transport.hear(String(data), settle));
      socket.addEventListener("close", () => transport.fail(new Error("the socket was closed")));
      // A close follows.
      socket.addEventListener("error", () => {});
    });
    return transport;
  }

  private say(message: ClientMessage): void {
    this.socket.send(JSON.stringify(message));
  }

  private fail(error: Error): void {
    this.failure ??= error;
    this.socket.close();
    this.wake();
  }

  private hear(text: string, welcome: () => void): void {
    try {
      const message = checkedJson(ServerMessage, text, "the coordinator's message");
      if (message.type === "welcome") return welcome();
      if (message.type === "refused") throw new Refusal(message.error.code, message.error.message);
      if (message.type === "closed") return this.forget(message.round);
      this.said = message.type === "task" ? { task: message.task } : { finished: { version: message.version } };
      this.wake();
    } catch (error) {
      this.fail(error instanceof Error ? error : new Error(String(error)));
    }
  }

  private forget(round: number): void {
    if (this.said !== undefined && "task" in this.said && this.said.task.round <= round) this.said = undefined;
    this.onClosed(round);
  }

  async next(): Promise<TaskAnswer | null> {
    if (this.said === undefined && this.failure === undefined) {
      let timer: ReturnType<typeof setTimeout> | undefined;
      const heard = new Promise<void>((done) => {
        this.wake = done;
        timer = setTimeout(done, SAY_AGAIN_MS);
      });
      this.say({ type: "ready" });
      await heard;
      clearTimeout(timer);
    }
    if (this.failure !== undefined) throw this.failure;
    const { said = null } = this;
    this.said = undefined;
    return said;
  }

  close(): void {
    this.fail(new Error("the client left"));
  }
}

/** Seconds of one long poll; proxies rarely cut a quiet connection sooner. */
const WAIT_SECONDS = 25;

/** Tasks by asking again and again, each time waiting: for networks that let no socket through. */
export class PollingTransport implements Transport {
  private readonly api: CoordinatorApi;
  private readonly member: Member;

  constructor(api: CoordinatorApi, member: Member) {
    this.api = api;
    this.member = member;
  }

  async next(): Promise<TaskAnswer | null> {
    return await this.api.task(this.member.identity, WAIT_SECONDS);
  }

  close(): void {}
}
