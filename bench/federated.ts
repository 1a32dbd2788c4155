// `npm run bench:federated -- DATA [--json] [ROW…]`: the rows of McMahan et al. 2017 on MNIST, rules against clients that turn their updates
// round, very many clients, workers at a queue, and a federation of people who wear watches. DATA holds MNIST's four idx files (packed or not; or a folder
// `image` does) and WISDM's archive of arrays, wisdm51-watch.npz (or a folder `motion` does).
import { MANY_ROW } from "./federated/many.ts";
import { MNIST_ROWS } from "./federated/mnist.ts";
import { QUEUE_ROW } from "./federated/queue.ts";
import { WISDM_ROW } from "./federated/wisdm.ts";
import { figure, terminal, verdict } from "./table.ts";

const ROWS = [MANY_ROW, ...MNIST_ROWS, QUEUE_ROW, WISDM_ROW];

const args = process.argv.slice(2);
const [data, ...wanted] = args.filter((arg) => !arg.startsWith("-"));
if (data === undefined) throw new Error("usage: npm run bench:federated -- DATA [--json] [ROW…]");
const unknown = wanted.filter((name) => !ROWS.some((row) => row.name === name));
if (unknown.length > 0) throw new Error(`no row ${unknown.join(", ")}; there are ${ROWS.map(({ name }) => name).join(", ")}`);
const results = [];
for (const { name, measure } of ROWS.filter((row) => wanted.length === 0 || wanted.includes(row.name))) {
  const start = performance.now();
  const result = await measure(data);
  results.push({ name, ...result, seconds: (performance.now() - start) / 1000 });
}
if (args.includes("--json")) console.log(JSON.stringify(results, null, 2));
else {
  const rows = results.map(({ name, goal, got, met, seconds }) => [name, goal, got, verdict(met), figure(seconds)]);
  console.log(terminal({ titles: ["row", "goal", "got", "", "seconds"], rows }));
}
