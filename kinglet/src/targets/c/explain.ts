import type { Node } from "../../graph/index.ts";
import { convMultipliers, denseMultipliers, inputOf, type Schedule } from "../../ops/index.ts";
import { isInt8Layer, rowForm } from "./layer.ts";
import { packLanes, pairBias } from "./lanes.ts";
import { isPointwise } from "./pointwise.ts";
import { planScaledLayer } from "./scaled-layer.ts";

/** Why a layer has no kernel with weight pairs in lanes. */
function whyNoPairs(node: Node): string {
  const dense = node.op === "fullyConnected";
  const [channels, ...window] = inputOf(node, 1).shape as [number, ...number[]];
  const taps = window.reduce((p, d) => p * d, 1);
  if (!isInt8Layer(node)) return "not int8 with constant symmetric weights";
  if (channels % (dense ? 4 : 2) !== 0) return `${channels} channels do not fill blocks`;
  if ((dense || isPointwise(node)) && taps % 4 !== 0) return `${taps} inputs do not fill words`;
  const layer = planScaledLayer(node, dense ? denseMultipliers : convMultipliers, "lanes", { ...rowForm(node, 4), scaledBias: pairBias });
  if (layer === undefined) return "no requantization of scaled sums was proved: they leave 32 bits, or a threshold cannot be met";
  if (packLanes(layer.weights, channels, taps, 2) === undefined) return "a pair of weights leaves 16 bits";
  return "too few pixels for a tile, or a dilated window";
}

/** The schedule, with the reason in its notes. */
export function explained(schedule: Schedule): Schedule {
  return (node, walk) => {
    const write = schedule(node, walk);
    if (write === undefined) return undefined;
    return (k, layouts) => {
      const instance = write(k, layouts);
      return instance.notes === undefined ? instance : { ...instance, notes: { ...instance.notes, why: whyNoPairs(node) } };
    };
  };
}
