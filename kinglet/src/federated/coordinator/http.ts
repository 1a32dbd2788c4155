import type { HttpBindings } from "@hono/node-server";
import { type Context, Hono, type MiddlewareHandler } from "hono";
import { bodyLimit } from "hono/body-limit";
import { cors } from "hono/cors";
import { checkedJson, EnrolRequest, MANIFEST_HEADER, MOST_SECURE_BYTES, MOST_WAIT_SECONDS, mostUpdateBytes, Refusal } from "../protocol/index.ts";
import { longPoll } from "./long-poll.ts";
import type { SecureRequests } from "./secure-requests.ts";
import type { Service } from "./service.ts";

type Env = { Bindings: HttpBindings; Variables: { client: number } };

const MOST_JSON_BYTES = 16 * 1024;
const MOST_NUMBER = 2 ** 32 - 1;
/** Health and metrics are open to everybody and take statements: who asks more often hears the same again. */
const OPEN_STATUS_MS = 1000;

function bearer(c: Context<Env>): string {
  const [scheme, token] = (c.req.header("authorization") ?? "").split(" ");
  if (scheme?.toLowerCase() !== "bearer" || token === undefined) throw new Refusal("unauthorized", "a bearer token is needed");
  return token;
}

/** A whole number of the path. */
function number(c: Context<Env>, name: string): number {
  const value = Number(c.req.param(name));
  if (!(Number.isInteger(value) && value >= 0 && value <= MOST_NUMBER)) throw new Refusal("malformed", `the ${name} in the path is no number`);
  return value;
}

function limited(bytes: number): MiddlewareHandler<Env> {
  return bodyLimit({
    maxSize: bytes,
    onError: () => {
      throw new Refusal("oversized", `the message has more than ${bytes} bytes`);
    },
  });
}

const octets = (c: Context<Env>, bytes: Uint8Array, headers: Readonly<Record<string, string>> = {}): Response =>
  c.body(new Uint8Array(bytes), 200, { "content-type": "application/octet-stream", ...headers });

/** What `read` gives, read at most so often. */
function remembered<T>(read: () => Promise<T>, ms: number): () => Promise<T> {
  let last: { readonly at: number; readonly value: Promise<T> } | undefined;
  return () => {
    const at = performance.now();
    if (last === undefined || at - last.at >= ms) last = { at, value: read() };
    return last.value;
  };
}

/** What the coordinator answers over HTTP. */
export function federationApp(service: Service): Hono<Env> {
  const { coordinator, metrics } = service;
  const openStatus = remembered(() => coordinator.status(), OPEN_STATUS_MS);
  const health = remembered(() => coordinator.health(), OPEN_STATUS_MS);
  const app = new Hono<Env>();
  const anyClient: MiddlewareHandler<Env> = async (c, next) => {
    const client = await coordinator.identify(bearer(c));
    service.admitClient(client);
    c.set("client", client);
    await next();
  };
  const admin: MiddlewareHandler<Env> = async (c, next) => {
    coordinator.checkAdmin(bearer(c));
    await next();
  };

  app.use(cors({ origin: "*", allowHeaders: ["authorization", "content-type"], exposeHeaders: [MANIFEST_HEADER] }));
  app.use(async (c, next) => {
    service.admitAddress(service.addressOf(c.env.incoming));
    await next();
    metrics.count("kinglet_messages_total", { kind: kindOf(c.req.path), result: c.get("client") === undefined ? "answered" : "accepted" });
  });
  app.onError((error, c) => {
    const refusal = service.refusalOf(error, kindOf(c.req.path));
    return c.json(refusal.toJSON(), refusal.status, refusal.reason === "rate-limited" ? { "retry-after": "1" } : {});
  });
  app.notFound(() => {
    throw new Refusal("not-found", "there is nothing at this address");
  });

  app.get("/healthz", async (c) => {
    const found = await health();
    return c.json(found, found.healthy ? 200 : 503);
  });
  app.get("/metrics", async (c) =>
    c.text(metrics.text(await openStatus(), coordinator.connections), 200, { "content-type": "text/plain; version=0.0.4" }),
  );

  app.post("/v1/enrol", limited(MOST_JSON_BYTES), async (c) =>
    c.json(await coordinator.enrol(checkedJson(EnrolRequest, await c.req.text(), "the enrolment"))),
  );
  app.get("/v1/project", anyClient, (c) => c.json({ description: coordinator.description }));
  app.get("/v1/network", anyClient, (c) => octets(c, coordinator.model.network));
  app.get("/v1/parameters/:version", anyClient, async (c) => {
    const { body, manifest } = await coordinator.version(number(c, "version"));
    return octets(c, body, { [MANIFEST_HEADER]: manifest });
  });
  app.get("/v1/task", anyClient, async (c) => {
    const wait = Number(c.req.query("wait") ?? 0);
    if (!(wait >= 0 && wait <= MOST_WAIT_SECONDS)) throw new Refusal("malformed", `a task is waited for up to ${MOST_WAIT_SECONDS} seconds`);
    const answer = await longPoll(service, c.get("client"), 1000 * wait, c.req.raw.signal);
    return answer === null ? c.body(null, 204) : c.json(answer);
  });
  app.post("/v1/rounds/:round/update", anyClient, limited(mostUpdateBytes(coordinator.model.form)), async (c) => {
    const client = c.get("client");
    const frame = new Uint8Array(await service.reading(client, () => c.req.arrayBuffer()));
    await coordinator.submit(client, number(c, "round"), frame);
    metrics.count("kinglet_update_bytes_total", {}, frame.length);
    return c.json({ accepted: true });
  });
  if (coordinator.secure !== undefined) secureRoutes(app, service, coordinator.secure, anyClient);
  app.post("/v1/rounds/:round/decline", anyClient, async (c) => {
    await coordinator.decline(c.get("client"), number(c, "round"));
    return c.json({ accepted: true });
  });

  app.get("/v1/status", admin, async (c) => c.json(await coordinator.status()));
  app.get("/v1/export", admin, async (c) => octets(c, await coordinator.export()));
  for (const what of ["pause", "resume"] as const)
    app.post(`/v1/${what}`, admin, async (c) => {
      await coordinator[what]();
      return c.json(await coordinator.status());
    });
  return app;
}

/** What clients say and ask in rounds of secure aggregation, beside their updates. */
function secureRoutes(app: Hono<Env>, service: Service, secure: SecureRequests, anyClient: MiddlewareHandler<Env>): void {
  for (const step of ["keys", "shares", "revelation"] as const)
    app.post(`/v1/rounds/:round/${step}`, anyClient, limited(MOST_SECURE_BYTES), async (c) => {
      const client = c.get("client");
      const body = new Uint8Array(await service.reading(client, () => c.req.arrayBuffer()));
      await secure.answer(step, { client, round: number(c, "round"), body });
      return c.json({ accepted: true });
    });
  app.get("/v1/rounds/:round/group", anyClient, async (c) => c.json(await secure.group(c.get("client"), number(c, "round"))));
  app.get("/v1/rounds/:round/shares", anyClient, async (c) => c.json(await secure.sharesFor(c.get("client"), number(c, "round"))));
  app.get("/v1/rounds/:round/survivors", anyClient, async (c) => c.json(await secure.survivors(c.get("client"), number(c, "round"))));
}

const KINDS = [
  ...["enrol", "project", "network", "parameters", "task", "update", "decline", "status", "pause", "resume", "export", "healthz", "metrics"],
  ...["keys", "group", "shares", "survivors", "revelation"],
];

/** The kind of a message: a word that is ours, whatever the path says. */
function kindOf(path: string): string {
  const words = path.split("/");
  return words.findLast((word) => KINDS.includes(word)) ?? "other";
}
