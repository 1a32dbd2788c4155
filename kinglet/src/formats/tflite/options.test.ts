import fc from "fast-check";
import { expect, test } from "vitest";
import { FlatFile } from "./flatfile.ts";
import { flatBuffer } from "./flatwriter.ts";
import * as tables from "./options.ts";
import { OPERATOR } from "./schema.ts";

type AnyTable = tables.OptionTable<Record<string, unknown>>;
const TABLES = Object.entries(tables).filter((entry): entry is [string, AnyTable & (typeof entry)[1]] => typeof entry[1] === "object");

const complaints = {
  fail: (message: string): never => {
    throw new Error(message);
  },
  unsupported: (message: string): never => {
    throw new Error(message);
  },
};

/** Values that each field of the file can have; named ones are found by what an empty table reads as. */
const ACTIVATIONS = ["none", "relu", "reluN1To1", "relu6", "tanh"];
const CHOICES: Record<string, readonly string[]> = { activation: ACTIVATIONS, padding: ["SAME", "VALID"], mode: ["reflect", "symmetric"] };
const NOT_READ = new Set(["from", "to", "type", "weightsFormat"]);
const COUNTS = /^(stride|filter|dilation)[HW]$|^(block|rank)$/;

function fieldValue(name: string, fallback: unknown): fc.Arbitrary<unknown> {
  if (CHOICES[name] !== undefined) return fc.constantFrom(...CHOICES[name]);
  if (COUNTS.test(name)) return fc.integer({ min: 1, max: 2 ** 31 - 1 });
  if (typeof fallback === "boolean") return fc.boolean();
  if (typeof fallback === "string") return fc.string({ maxLength: 40 });
  if (Array.isArray(fallback)) return fc.array(fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }), { maxLength: 8 });
  if (["alpha", "beta", "cellClip", "projClip"].includes(name)) return fc.float({ noNaN: true });
  return fallback === undefined ? fc.constant(undefined) : fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
}

/** The options that a table without fields has; counts have none. */
function defaults(table: AnyTable): Record<string, unknown> {
  const empty = new FlatFile(flatBuffer({}, "TEST"), "empty").root();
  const entries = Object.entries(table.fields).map(([name, field], i) => [name, COUNTS.test(name) ? 1 : field.read(empty, i, complaints)]);
  return Object.fromEntries(entries.filter(([name]) => !NOT_READ.has(name as string)));
}

test.each(TABLES)("%s reads what it writes", (_name, table) => {
  const fallbacks = defaults(table);
  const options = fc.record(Object.fromEntries(Object.entries(fallbacks).map(([name, fallback]) => [name, fieldValue(name, fallback)])));
  fc.assert(
    fc.property(options, (given) => {
      const file = new FlatFile(flatBuffer(tables.optionFields(table, given), "TEST"), "options").root();
      expect(file.byte(OPERATOR.optionsType)).toBe(table.number);
      const read = tables.readOptions(table, file.table(OPERATOR.options, "options")!, complaints);
      for (const name of Object.keys(given)) expect(read[name]).toEqual(given[name]);
    }),
    { numRuns: 50 },
  );
});

test("every table is in the schema", () => {
  expect(TABLES.length).toBeGreaterThan(30);
  for (const [, table] of TABLES) expect(table.number).toBeGreaterThan(0);
});
