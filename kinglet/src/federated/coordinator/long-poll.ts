import { Refusal, type ServerMessage, type TaskAnswer } from "../protocol/index.ts";
import type { Service } from "./service.ts";

/** A client that asks again within this time was ready in between. */
const GRACE_MS = 10_000;

/** What a message says to somebody who waits for a task. */
function answerOf(message: ServerMessage): TaskAnswer | Refusal | null {
  if (message.type === "refused") return new Refusal(message.error.code, message.error.message);
  if (message.type === "task") return { task: message.task };
  return message.type === "finished" ? { finished: { version: message.version } } : null;
}

/**
 * What a client is to do: at once where there is something, else when something comes, or null once the time is over.
 * @throws Refusal where the client is shut out meanwhile.
 */
export async function longPoll({ coordinator, stopping }: Service, client: number, waitMs: number, gone: AbortSignal): Promise<TaskAnswer | null> {
  let heard: (answer: TaskAnswer | Refusal | null) => void = () => {};
  const answer = new Promise<TaskAnswer | Refusal | null>((resolve) => (heard = resolve));
  const seat = coordinator.sit(client, (message) => {
    const told = answerOf(message);
    if (told !== null) heard(told);
  });
  const timer = setTimeout(() => heard(null), waitMs);
  const end = (): void => heard(null);
  gone.addEventListener("abort", end);
  stopping.addEventListener("abort", end);
  let found: TaskAnswer | Refusal | null = null;
  try {
    const now = await coordinator.taskFor(client);
    if (now === null && !stopping.aborted) seat.setReady(true);
    found = now ?? (await answer);
    if (found instanceof Refusal) throw found;
    return found;
  } finally {
    clearTimeout(timer);
    gone.removeEventListener("abort", end);
    stopping.removeEventListener("abort", end);
    // Who has a task trains; who went away does not come back.
    seat.leave(found === null && !gone.aborted ? GRACE_MS : 0);
  }
}
