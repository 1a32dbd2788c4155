// Run in a fresh process by start.ts: ENGINE PEERS MODEL INPUT-TYPE INPUT-FILE. Prints what the first result cost.
import { readFile } from "node:fs/promises";
import { ENGINES } from "./engines.mjs";

const TYPES = { int8: Int8Array, float32: Float32Array };
const [engine, peers, model, type, file] = process.argv.slice(2);
const bytes = await readFile(file);
const input = new TYPES[type](bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
const [cpu, wall] = [process.cpuUsage(), performance.now()];
const session = await ENGINES[engine].open(peers, model);
await session.run(input);
const { user, system } = process.cpuUsage(cpu);
const wallMs = performance.now() - wall;
console.log(JSON.stringify({ cpuMs: (user + system) / 1000, wallMs, residentBytes: process.memoryUsage().rss }));
process.exit(0);
