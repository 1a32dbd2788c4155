import { type Graph, GraphBuilder, type Value } from "../graph/index.ts";
import { execute, type ExecuteOptions, type Via } from "./execute.ts";
import type { Sample } from "./tensors.ts";

/** A network and what it is run with. */
export interface Part {
  readonly graph: Graph;
  readonly sample: Sample;
}

/** What one part gave. */
export interface PartResult {
  readonly outputs: readonly Uint8Array[];
  /** Of the whole build. */
  readonly warnings: string;
}

/** Networks that have nothing to do with each other in one graph; names get the number of their network. */
function sideBySide(name: string, graphs: readonly Graph[]): Graph {
  const builder = new GraphBuilder(name);
  graphs.forEach((graph, number) => {
    const called = (text: string): string => `n${number}_${text}`;
    const now = new Map<number, Value>(graph.inputs.map((input) => [input.id, builder.input(called(input.name), input)]));
    const of = (value: Value): Value => {
      const { data, variable, initial } = value;
      const fresh = (): Value => {
        if (data !== undefined) return builder.constant(called(value.name), value, data);
        return variable === true ? builder.variable(called(value.name), value, initial) : builder.value(called(value.name), value);
      };
      if (!now.has(value.id)) now.set(value.id, fresh());
      return now.get(value.id)!;
    };
    for (const { op, inputs, outputs, attributes, name: node } of graph.nodes)
      builder.node(
        op,
        inputs.map((value) => value && of(value)),
        outputs.map(of),
        attributes,
        called(node),
      );
    for (const output of graph.outputs) builder.output(of(output));
  });
  return builder.build();
}

/**
 * Networks that are built and run as one, so that compiler, linker and emulator start once for all of them. Each way to run them is
 * taken when it is first asked for, and its results are kept.
 */
export class Together {
  private readonly parts: readonly Part[];
  private readonly graph: Graph;
  private readonly known = new Map<Via, Promise<PartResult[]>>();

  constructor(name: string, parts: readonly Part[]) {
    this.parts = parts;
    this.graph = sideBySide(
      name,
      parts.map(({ graph }) => graph),
    );
  }

  private async run(via: Via, options: ExecuteOptions): Promise<PartResult[]> {
    const { outputs, warnings } = await execute(this.graph, via, [this.parts.flatMap(({ sample }) => sample)], options);
    let at = 0;
    return this.parts.map(({ graph }) => {
      at += graph.outputs.length;
      return { outputs: outputs[0]!.slice(at - graph.outputs.length, at), warnings };
    });
  }

  /** What each part gave, in their order. The options must be the same whenever a way is asked for. */
  results(via: Via, options: ExecuteOptions = {}): Promise<PartResult[]> {
    const known = this.known.get(via) ?? this.run(via, options);
    this.known.set(via, known);
    return known;
  }
}
