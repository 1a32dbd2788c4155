import type { StatusAnswer } from "../protocol/index.ts";

const HELP = {
  kinglet_messages_total: ["counter", "Messages of clients, by kind and by result."],
  kinglet_connections_refused_total: ["counter", "Connections beyond those that one network may have."],
  kinglet_update_bytes_total: ["counter", "Bytes of the updates that were accepted."],
  kinglet_model_version: ["gauge", "The newest version of the model."],
  kinglet_round: ["gauge", "The newest round."],
  kinglet_round_open: ["gauge", "Whether the newest round is open."],
  kinglet_clients_enrolled: ["gauge", "Clients that have enrolled."],
  kinglet_clients_ready: ["gauge", "Clients that would train now."],
  kinglet_connections: ["gauge", "Sockets and waiting requests of clients, to this process."],
  kinglet_accuracy: ["gauge", "The share of right answers of the newest version that was judged."],
  kinglet_epsilon: ["gauge", "The privacy spent so far."],
} as const satisfies Readonly<Record<string, readonly [type: "counter" | "gauge", help: string]>>;

type Counter = "kinglet_messages_total" | "kinglet_connections_refused_total" | "kinglet_update_bytes_total";

/** Numbers for Prometheus: what was counted here, and what the coordinator says of itself. */
export class Metrics {
  private readonly counted = new Map<Counter, Map<string, number>>();

  count(name: Counter, labels: Readonly<Record<string, string>> = {}, by = 1): void {
    const text = Object.entries(labels)
      .map(([key, value]) => `${key}="${value}"`)
      .join(",");
    const series = this.counted.get(name) ?? new Map<string, number>();
    this.counted.set(name, series.set(text, (series.get(text) ?? 0) + by));
  }

  /** In Prometheus' text format, version 0.0.4. @param connections of this process: each is asked by itself. */
  text({ version, clients, epsilon, judged, rounds: [newest] }: StatusAnswer, connections: number): string {
    const one = (value: number): Map<string, number> => new Map([["", value]]);
    const all: Readonly<Record<keyof typeof HELP, ReadonlyMap<string, number>>> = {
      kinglet_messages_total: this.counted.get("kinglet_messages_total") ?? new Map(),
      kinglet_connections_refused_total: this.counted.get("kinglet_connections_refused_total") ?? one(0),
      kinglet_update_bytes_total: this.counted.get("kinglet_update_bytes_total") ?? one(0),
      kinglet_model_version: one(version),
      kinglet_round: one(newest?.round ?? 0),
      kinglet_round_open: one(newest?.status === "open" ? 1 : 0),
      kinglet_clients_enrolled: one(clients.enrolled),
      kinglet_clients_ready: one(clients.ready),
      kinglet_connections: one(connections),
      kinglet_accuracy: judged === undefined ? new Map() : one(judged.accuracy),
      kinglet_epsilon: epsilon === undefined || epsilon === null ? new Map() : one(epsilon),
    };
    return Object.entries(all)
      .filter(([, series]) => series.size > 0)
      .map(([name, series]) => {
        const [type, help] = HELP[name as keyof typeof HELP];
        const lines = [...series].map(([labels, value]) => `${name}${labels === "" ? "" : `{${labels}}`} ${value}`);
        return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${lines.join("\n")}\n`;
      })
      .join("");
  }
}
