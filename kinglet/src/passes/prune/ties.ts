import type { Value } from "../../graph/index.ts";

/** One position along one axis of a value: a channel of a map, a filter of a layer, a row or column of a matrix. */
interface Axis {
  readonly value: Value;
  readonly axis: number;
  /** The number of the axis's first position; the others follow. */
  readonly first: number;
  readonly length: number;
}

/**
 * Which positions of which axes must be there together or not at all. A network keeps its meaning when whole classes of tied
 * positions are removed: DepGraph (Fang et al., CVPR 2023) on the level of single channels, so that offsets of a concatenation and
 * repetitions of a flattened map need no rules of their own.
 */
export class Ties {
  private readonly known = new Map<string, Axis>();
  private readonly parents: number[] = [];
  private readonly fixed = new Set<number>();

  /** All axes that some tie has touched. */
  get axes(): readonly Axis[] {
    return [...this.known.values()];
  }

  private axisOf(value: Value, axis: number): Axis {
    const key = `${value.id}:${axis}`;
    const known = this.known.get(key);
    if (known !== undefined) return known;
    const made = { value, axis, first: this.parents.length, length: value.shape[axis]! };
    for (let i = 0; i < made.length; i++) this.parents.push(made.first + i);
    this.known.set(key, made);
    return made;
  }

  has(value: Value, axis: number): boolean {
    return this.known.has(`${value.id}:${axis}`);
  }

  private root(position: number): number {
    let at = position;
    while (this.parents[at] !== at) at = this.parents[at] = this.parents[this.parents[at]!]!;
    return at;
  }

  /** The class that a position belongs to. */
  classOf(value: Value, axis: number, index: number): number {
    return this.root(this.axisOf(value, axis).first + index);
  }

  tie(a: Value, axisA: number, indexA: number, b: Value, axisB: number, indexB: number): void {
    const [x, y] = [this.classOf(a, axisA, indexA), this.classOf(b, axisB, indexB)];
    this.parents[Math.max(x, y)] = Math.min(x, y);
  }

  /** Ties two axes of one length position by position. */
  tieAxes(a: Value, axisA: number, b: Value, axisB: number): void {
    for (let i = 0; i < a.shape[axisA]!; i++) this.tie(a, axisA, i, b, axisB, i);
  }

  /** Nothing of this axis can be removed. */
  fix(value: Value, axis: number): void {
    const { first, length } = this.axisOf(value, axis);
    for (let i = 0; i < length; i++) this.fixed.add(first + i);
  }

  /** Classes with a fixed position. */
  fixedClasses(): Set<number> {
    return new Set([...this.fixed].map((position) => this.root(position)));
  }
}
