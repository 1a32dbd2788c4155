import { AWAIT_ROW, type Program, type Stage } from "../../loops/index.ts";
import { foldOrder } from "./order.ts";

/** Words of a stage's position: section, round and entry, then how often each moving step has run. */
const POSITION_WORDS = 3;

/** Steps of a stage whose arguments move, as indices into the program. */
export function movingSteps(program: Program, stage: Stage): number[] {
  return Array.from({ length: stage.count }, (_, i) => stage.first + i).filter((step) =>
    program.steps[step]!.args.some((arg) => arg.kind === "buffer" && arg.advance !== undefined),
  );
}

/** Words of memory that a stage needs to know where it is. */
export function positionLength(program: Program, stage: Stage): number {
  return POSITION_WORDS + movingSteps(program, stage).length;
}

function streams(stage: Stage): boolean {
  return stage.order.includes(AWAIT_ROW);
}

/** The C expression for how often a moving step has run. */
export function turnOf(program: Program, stage: Stage, step: number): string {
  return `s[${POSITION_WORDS + movingSteps(program, stage).indexOf(step)}]`;
}

function table(values: readonly number[], name: string): string {
  const type = values.every((value) => value < 256) ? "uint8_t" : "uint16_t";
  return `static const ${type} ${name}[] = {${values.join(", ")}};`;
}

/**
 * A function that runs a stage from its position `s` on: to the end (it gives 1), or to where the next row of the
 * input must be there (it gives 0). `call` writes the call of a step.
 */
export function printStage(program: Program, stage: Stage, index: number, call: (step: number) => string): string {
  const { entries, sections } = foldOrder(stage.order.map((at) => (at === AWAIT_ROW ? stage.count : at)));
  const name = `stage_${index}`;
  const moving = new Set(movingSteps(program, stage));
  const cases = Array.from({ length: stage.count }, (_, i) => {
    const step = stage.first + i;
    const moved = moving.has(step) ? ` ${turnOf(program, stage, step)}++;` : "";
    return `      case ${i}: ${call(step)}${moved} break;`;
  });
  const pause = streams(stage) ? [`      case ${stage.count}: return 0;`] : [];
  return `/* What of a stage runs when, and how often runs of it repeat: entry to start from, entries, times. */
${table(entries, `${name}_order`)}
static const uint16_t ${name}_sections[][3] = {${sections.map(({ from, length, times }) => `{${from}, ${length}, ${times}}`).join(", ")}};
static int ${name}(uint8_t *arena, k_uint16 *s) {
  while (s[0] < ${sections.length}) {
    const uint16_t *section = ${name}_sections[s[0]];
    const int entry = ${name}_order[section[0] + s[2]];
    if (++s[2] == section[1]) {
      s[2] = 0;
      if (++s[1] == section[2]) {
        s[1] = 0;
        s[0]++;
      }
    }
    switch (entry) {
${[...cases, ...pause].join("\n")}
      default: break;
    }
  }
  return 1;
}
`;
}
