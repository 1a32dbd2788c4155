import { MOST_THREADS, SPINS_AWAKE } from "../../loops/index.ts";

/** What the loader must know of the memory that threads share: its pages, and the address of the words to wait on. */
export interface SharedMemory {
  readonly pages: number;
  readonly control: number;
}

/** Workers compute shares of every layer; the caller is the first thread. One after another they start: each fills the same memory. */
export function threadsText(name: string, { pages, control }: SharedMemory): string {
  return `async function workerOf() {
  const address = new URL("./${name}.worker.js", import.meta.url);
  if (typeof Worker === "function" && "addEventListener" in Worker.prototype) return new Worker(address, { type: "module" });
  const { Worker: NodeWorker } = await import(/* webpackIgnore: true */ /* @vite-ignore */ "node:worker_threads");
  const worker = new NodeWorker(address);
  worker.addEventListener = (kind, listener) => worker.once(kind, (data) => listener({ data }));
  return worker;
}

async function loadShared(parts) {
  if (!Number.isInteger(parts) || parts > ${MOST_THREADS}) throw new RangeError("threads must be a whole number up to ${MOST_THREADS}");
  const module = await WebAssembly.compile(await contentOf(new URL("./${name}.threads.wasm", import.meta.url)));
  const memory = new WebAssembly.Memory({ initial: ${pages}, maximum: ${pages}, shared: true });
  const { init, run } = (await WebAssembly.instantiate(module, { env: { memory } })).exports;
  const control = new Int32Array(memory.buffer, ${control}, 2);
  const workers = [];
  for (let part = 1; part < parts; part++) {
    const worker = await workerOf();
    const ready = new Promise((done, fail) => {
      worker.addEventListener("message", done, { once: true });
      worker.addEventListener("error", (error) => fail(error.data ?? error), { once: true });
    });
    worker.postMessage({ module, memory, control: ${control}, part, parts });
    await ready;
    worker.unref?.();
    workers.push(worker);
  }
  return {
    memory,
    init,
    run() {
      Atomics.add(control, 1, 1);
      Atomics.notify(control, 1);
      run(0, parts);
    },
    close() {
      for (const worker of workers) worker.terminate();
    },
  };
}

`;
}

/** The script of a worker: it computes its share whenever the caller says so, by `share`, which knows `exports`, `words`, `part` and `parts`. */
export function workerText(share: string): string {
  return `const port = typeof postMessage === "function" ? globalThis : (await import("node:worker_threads")).parentPort;
const listen = port.addEventListener?.bind(port) ?? ((kind, listener) => port.on(kind, (data) => listener({ data })));

listen("message", async ({ data: { module, memory, control, part, parts } }) => {
  const { exports } = await WebAssembly.instantiate(module, { env: { memory } });
  const words = new Int32Array(memory.buffer, control, 4);
  let turn = Atomics.load(words, 1);
  port.postMessage("ready");
  for (;;) {
    // Awake for a while, since the next turn often comes at once; then asleep.
    for (let spins = 0; spins < ${SPINS_AWAKE} && Atomics.load(words, 1) === turn; spins++);
    Atomics.wait(words, 1, turn);
    turn = (turn + 1) | 0;
    ${share}
  }
});
`;
}
