/** What operators need that these machines, or a plan made before anything runs, do not have; by their names in either format. */
const REASONS: readonly (readonly [names: RegExp, reason: string])[] = [
  [/String|TfIdf|Tokenizer|SKIP_GRAM|LSH_PROJECTION/, "it reads text"],
  [/Sequence(Construct|Empty|Insert|Erase|At|Length|Map)|SplitToSequence|ConcatFromSequence|ReverseSequence$/, "it works on sequences of tensors"],
  [/^Optional/, "its tensor may be absent"],
  [/HASHTABLE|DictVectorizer|CastMap/, "it works on maps"],
  [/Random|RANDOM|Bernoulli|Multinomial|MULTINOMIAL/, "it draws random numbers"],
  [/training\.|Gradient$/, "it trains, which Kinglet does with networks that it reads"],
  [/^(Loop|Scan|If|IF|WHILE|CALL|CALL_ONCE)$/, "it runs another graph, as often as contents say"],
  [/^(NonZero|Unique|UNIQUE|WHERE|Compress)$/, "the size of its result depends on contents"],
  [/^(RFFT2D|IMAG|REAL|COMPLEX_ABS)$/, "it works on complex numbers"],
  [/^ImageDecoder$/, "it reads picture files"],
];

/** Why Kinglet does not have an operator; null where nobody has written it yet. */
export function whyRefused(operator: string): string | null {
  return REASONS.find(([names]) => names.test(operator))?.[1] ?? null;
}

/** Operators of a model with how often each occurs, and why Kinglet does not have them. */
export function refusedList(counts: ReadonlyMap<string, number>): string {
  return [...counts]
    .map(([name, count]) => {
      const reason = whyRefused(name);
      return `${name} (${count}×${reason === null ? "" : `, ${reason}`})`;
    })
    .join(", ");
}
