// A coordinator in a process of its own, which a test may kill: `node --import tsx coordinator-process-testing.ts JSON`.
import { Coordinator, openStore, serveFederation } from "./index.ts";
import { largePlan, securePlan, tinyPlan, UNLIMITED } from "./coordinator-testing.ts";
import type { ProcessArguments } from "./process-testing.ts";

const { store, queue, port, keys, rules, large, secure } = JSON.parse(process.argv[2]!) as ProcessArguments;
const plan = secure ? securePlan(large ? { network: largePlan().network } : {}) : large ? largePlan() : tinyPlan();
const { database, ...together } = await openStore(store, queue);
const coordinator = await Coordinator.open(database, { plan, rules, keys, ...together });
// All of its clients are of this machine.
const limits = { ...UNLIMITED, networkConnections: 1e6, strangerConnections: 1e6 };
await serveFederation(coordinator, { port, host: "127.0.0.1", limits });
process.stdout.write("listening");
