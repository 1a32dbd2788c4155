import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { ServerMessage } from "../protocol/index.ts";
import { type Socket, SocketTransport } from "./transport.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** A socket whose other end is this test. */
class FakeSocket implements Socket {
  readonly readyState = 1;
  readonly sent: string[] = [];
  readonly closed: number[] = [];
  private readonly listeners = new Map<string, (event: { readonly data: unknown }) => void>();

  send(text: string): void {
    this.sent.push((JSON.parse(text) as { type: string }).type);
  }

  close(): void {
    this.closed.push(Date.now());
  }

  addEventListener(kind: string, listener: (event: { readonly data: unknown }) => void): void {
    this.listeners.set(kind, listener);
  }

  happen(kind: string, message?: ServerMessage): void {
    this.listeners.get(kind)!({ data: JSON.stringify(message) });
  }
}

const IDENTITY = { client: 1, credential: "x", project: "p", key: "k" };
const TASK = { round: 4, version: 3, deadline: 9, seed: 7 };

async function opened(onClosed: (round: number) => void = () => {}): Promise<{ socket: FakeSocket; transport: SocketTransport }> {
  const socket = new FakeSocket();
  const transport = SocketTransport.open(socket, IDENTITY, onClosed);
  socket.happen("open");
  socket.happen("message", { type: "welcome", client: 1 });
  return { socket, transport: await transport };
}

test("it says hello, and ready once for each task", async () => {
  const { socket, transport } = await opened();
  const first = transport.next();
  socket.happen("message", { type: "task", task: TASK });
  expect(await first).toEqual({ task: TASK });
  const second = transport.next();
  socket.happen("message", { type: "finished", version: 4 });
  expect(await second).toEqual({ finished: { version: 4 } });
  expect(socket.sent).toEqual(["hello", "ready", "ready"]);
});

test("a task that came while nobody waited is there, unless its round is over", async () => {
  const over: number[] = [];
  const { socket, transport } = await opened((round) => over.push(round));
  socket.happen("message", { type: "task", task: TASK });
  expect(await transport.next()).toEqual({ task: TASK });
  socket.happen("message", { type: "task", task: TASK });
  socket.happen("message", { type: "closed", round: 4 });
  expect(over).toEqual([4]);
  const next = transport.next();
  await vi.advanceTimersByTimeAsync(60_000);
  expect(await next).toBeNull();
});

test("it says ready again after a while: a socket that is dead would not be noticed", async () => {
  const { socket, transport } = await opened();
  const next = transport.next();
  await vi.advanceTimersByTimeAsync(59_999);
  expect(socket.sent).toEqual(["hello", "ready"]);
  await vi.advanceTimersByTimeAsync(1);
  expect(await next).toBeNull();
  void transport.next().catch(() => {});
  expect(socket.sent).toEqual(["hello", "ready", "ready"]);
  transport.close();
});

test("refusals, nonsense, silence and an end are told", async () => {
  const refusing = await opened();
  const refused = expect(refusing.transport.next()).rejects.toMatchObject({ reason: "expired" });
  refusing.socket.happen("message", { type: "refused", error: { code: "expired", message: "the credential expired" } });
  await refused;
  const strange = await opened();
  const malformed = expect(strange.transport.next()).rejects.toMatchObject({ reason: "malformed" });
  strange.socket.happen("message", { type: "dance" } as unknown as ServerMessage);
  await malformed;
  const ending = await opened();
  const ended = expect(ending.transport.next()).rejects.toThrow("the socket was closed");
  ending.socket.happen("close");
  await ended;
  const silent = new FakeSocket();
  const opening = expect(SocketTransport.open(silent, IDENTITY, () => {})).rejects.toThrow("no socket opened in time");
  await vi.advanceTimersByTimeAsync(10_000);
  await opening;
  expect(silent.closed).toHaveLength(1);
});
