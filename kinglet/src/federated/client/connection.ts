import { Refusal, type TaskAnswer } from "../protocol/index.ts";
import type { CoordinatorApi } from "./api.ts";
import { type Member, type OnClosed, PollingTransport, type Socket, SocketTransport, type Transport } from "./transport.ts";

/** A socket and, where none opens, long polls; or these alone. */
export type TransportChoice = "auto" | "poll";

/** How a client is connected while it is: by a socket if that can be. */
export class Connection {
  private readonly api: CoordinatorApi;
  private readonly member: Member;
  private readonly openSocket: ((url: string) => Promise<Socket>) | undefined;
  private readonly onClosed: OnClosed;
  private transport: Transport | undefined;

  /** @param openSocket without it there are only long polls. */
  constructor(api: CoordinatorApi, member: Member, openSocket: ((url: string) => Promise<Socket>) | undefined, onClosed: OnClosed) {
    this.api = api;
    this.member = member;
    this.openSocket = openSocket;
    this.onClosed = onClosed;
  }

  private async opened(): Promise<Transport> {
    const { api, member, openSocket } = this;
    if (openSocket !== undefined) {
      try {
        return await SocketTransport.open(await openSocket(api.socketUrl), member.identity, this.onClosed);
      } catch (error) {
        if (error instanceof Refusal) throw error;
      }
    }
    return new PollingTransport(api, member);
  }

  /** What to do next; null asks to be called again. After a failure it connects anew, with a socket first. */
  async next(signal: AbortSignal): Promise<TaskAnswer | null> {
    this.transport ??= await this.opened();
    try {
      signal.throwIfAborted();
      return await this.transport.next();
    } catch (error) {
      this.leave();
      throw error;
    }
  }

  /** Who is not connected is not asked. */
  leave(): void {
    this.transport?.close();
    this.transport = undefined;
  }
}
