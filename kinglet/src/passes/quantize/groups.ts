import { KingletError } from "../../base/index.ts";
import type { Graph, Node, Value } from "../../graph/index.ts";
import type { TensorQuantization } from "../../ops/index.ts";
import type { NodeDomain } from "./domains.ts";
import { type IntegerDomain, isFloat, ruleOf } from "./rules.ts";
import { EMPTY_RANGE, quantizationFor, type Range, rangeOfData, unionRange } from "./scale.ts";

/** Values that share one scale in one domain. */
class Group {
  range: Range = EMPTY_RANGE;
  readonly fixed: TensorQuantization | undefined;
  private parent: Group | undefined;

  constructor(fixed?: TensorQuantization) {
    this.fixed = fixed;
  }

  root(): Group {
    let at: Group = this;
    while (at.parent !== undefined) at = at.parent;
    return at;
  }

  include(range: Range): void {
    this.range = unionRange(this.range, range);
  }

  join(other: Group): void {
    const [a, b] = [this.root(), other.root()];
    if (a === b) return;
    b.parent = a;
    a.include(b.range);
  }
}

const same = (a: TensorQuantization, b: TensorQuantization): boolean => a.scale === b.scale && a.zeroPoint === b.zeroPoint;

/** Padding with a number far outside what is padded stands for "lowest"; the clamp to the type does as well. */
const FAR = 10;

function padRange(node: Node, range: Range): Range {
  const value = Number(node.attributes["value"] ?? 0);
  const reach = FAR * Math.max(-range.low, range.high);
  return node.op === "pad" && Math.abs(value) <= reach ? { low: value, high: value } : EMPTY_RANGE;
}

/** Finds which values must share a scale, and what it is. */
export class Groups {
  private readonly groups = new Map<string, Group>();
  private readonly ranges: ReadonlyMap<number, Range>;

  constructor(graph: Graph, domains: readonly NodeDomain[], ranges: ReadonlyMap<number, Range>) {
    this.ranges = ranges;
    graph.nodes.forEach((node, i) => {
      const { domain } = domains[i]!;
      if (domain !== "float") this.addNode(node, domain);
    });
  }

  /** Scale and zero point of a value in a domain. */
  quantization(value: Value, domain: IntegerDomain): TensorQuantization {
    const group = this.group(value, domain).root();
    return group.fixed ?? quantizationFor(group.range, domain);
  }

  /** What an operand must have: the output's own scale for what only moves numbers, else its own. */
  operand(node: Node, value: Value, domain: IntegerDomain): TensorQuantization {
    if (ruleOf(node)!.kind === "same") return this.quantization(node.outputs[0]!, domain);
    return value.data === undefined ? this.quantization(value, domain) : quantizationFor(this.rangeOf(value), domain);
  }

  rangeOf(value: Value): Range {
    if (value.data !== undefined) return rangeOfData(value.data, value.name);
    const range = this.ranges.get(value.id);
    if (range === undefined) throw new KingletError("bad-input", `there is no calibrated range for "${value.name}"`);
    return range;
  }

  private group(value: Value, domain: IntegerDomain): Group {
    const key = `${domain}:${value.id}`;
    const known = this.groups.get(key);
    if (known !== undefined) return known;
    const made = new Group();
    made.include(this.rangeOf(value));
    this.groups.set(key, made);
    return made;
  }

  private set(value: Value, domain: IntegerDomain, group: Group): void {
    this.groups.set(`${domain}:${value.id}`, group);
  }

  private addNode(node: Node, domain: IntegerDomain): void {
    const rule = ruleOf(node)!;
    const operands = node.inputs.filter(isFloat);
    for (const value of operands) if (value.data === undefined) this.group(value, domain);
    if (rule.kind === "fixed") for (const value of node.outputs) this.set(value, domain, new Group(rule.scales[domain]));
    if (rule.kind === "same") this.share(node, domain, rule.operands === "all" ? operands : operands.slice(0, 1));
  }

  /** Outputs take the operands' common scale. What has a given scale keeps it, and is converted on its way in. */
  private share(node: Node, domain: IntegerDomain, operands: readonly Value[]): void {
    const moving = operands.filter((value) => value.data === undefined).map((value) => this.group(value, domain));
    const given = moving.map((group) => group.root().fixed);
    const alike = given[0] !== undefined && given.every((each) => each !== undefined && same(each, given[0]!)) && moving.length === operands.length;
    const common = alike ? moving[0]! : new Group();
    if (!alike) {
      for (const group of moving) if (group.root().fixed === undefined) common.join(group);
      for (const value of operands) common.include(this.rangeOf(value));
      common.include(padRange(node, common.range));
    }
    for (const value of node.outputs) this.set(value, domain, common);
  }
}
