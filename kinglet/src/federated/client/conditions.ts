/** When a client may train; what is not said does not matter. */
export interface Conditions {
  /** Only while the machine is not on its battery. */
  readonly charging?: boolean;
  /** Only where data costs nothing by the byte. */
  readonly unmetered?: boolean;
  /** Only while nobody needs the machine. */
  readonly idle?: boolean;
}

/** How a platform tells; undefined where it cannot, which holds nobody back. */
export type Readings = { readonly [name in keyof Conditions]-?: () => Promise<boolean | undefined> };

/** Those conditions that are not met now. */
export async function unmetConditions(conditions: Conditions, readings: Readings): Promise<(keyof Conditions)[]> {
  const wanted = (Object.keys(readings) as (keyof Conditions)[]).filter((name) => conditions[name] === true);
  const met = await Promise.all(wanted.map((name) => readings[name]()));
  return wanted.filter((_, i) => met[i] === false);
}
