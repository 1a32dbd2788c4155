/** Where a layer of ours lies in somebody else's network: its sums, and the normalization behind them where there is one. */
export interface Place {
  readonly sums: readonly string[];
  readonly norm: readonly string[];
}

/** Places of our layers by their names, in several spellings where versions of the other side differ; undefined for what is not there. */
export type Places = (layer: string) => Place | undefined;

export function placeAt(sums: string | readonly string[], norm: string | readonly string[] = []): Place {
  return { sums: [sums].flat(), norm: [norm].flat() };
}

/** Their names of what our parameters' names end in: of the sums, or of the normalization. */
export type Variables = Readonly<Record<string, readonly [of: keyof Place, names: readonly string[]]>>;

/** Names of tensors, which are a layer's and a variable's, for parameters of ours, which are called by layer and role. */
export function naming(places: Places, variables: Variables, separator: string): (parameter: string) => readonly string[] | undefined {
  return (parameter) => {
    const cut = parameter.lastIndexOf("_");
    const role = parameter.slice(cut + 1);
    if (!Object.hasOwn(variables, role)) return undefined;
    const [of, names] = variables[role]!;
    return places(parameter.slice(0, cut))?.[of].flatMap((layer) => names.map((name) => `${layer}${separator}${name}`));
  };
}

/** The number of a layer's block, and what the layer does there: block_3_expand. */
export function inBlock(layer: string): { readonly number: number; readonly part: string } | null {
  const found = /^block_(\d+)_(.+)$/.exec(layer);
  return found === null ? null : { number: Number(found[1]), part: found[2]! };
}

/** The layers of a table, which blocks do not have, and those of blocks. */
export function placesOf(table: Readonly<Record<string, Place>>, inBlocks: Places): Places {
  return (layer) => (Object.hasOwn(table, layer) ? table[layer] : inBlocks(layer));
}

/** Blocks of each stage of an EfficientNet. */
export const EFFICIENTNET_STAGES = {
  efficientnet_b0: [1, 2, 2, 3, 3, 4, 1],
  efficientnet_b1: [2, 3, 3, 4, 4, 5, 2],
  efficientnet_b2: [2, 3, 3, 4, 4, 5, 2],
} as const;

/** The stage of a numbered block, and its place there; stages and blocks count from 1, places from 0. */
export function stageOf(number: number, stages: readonly number[]): { readonly stage: number; readonly place: number } {
  let place = number - 1;
  let stage = 0;
  while (stage < stages.length - 1 && place >= stages[stage]!) place -= stages[stage++]!;
  return { stage: stage + 1, place };
}
