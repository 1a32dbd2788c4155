import type { Value } from "../../graph/index.ts";
import { channelsFirst, channelsLast } from "./ops-conv.ts";
import type { Rule, Site } from "./site.ts";

/** Rows of batch, class and box: as many as there can be, with a count of those that are. */
function nonMaxSuppression(site: Site): Value {
  const most = site.numbers(2)?.[0] ?? 0;
  if (most < 1) site.unsupported("it chooses no box of any class (max_output_boxes_per_class)", "Give it the number of boxes to choose.");
  const scoreThreshold = site.numbers(4)?.[0];
  const attributes = {
    most: Math.min(most, 2 ** 31 - 1),
    iouThreshold: site.numbers(3)?.[0] ?? 0,
    inclusive: false,
    ...(scoreThreshold === undefined ? {} : { scoreThreshold }),
    centered: site.int("center_point_box", 0) !== 0,
    scores: false,
  };
  const [rows, total] = site.importer.emit("nonMaxSuppression", [site.input(0), site.input(1)], attributes) as [Value, Value];
  const selected = site.cast(rows, "int64");
  site.importer.count(selected, total);
  return selected;
}

function roiAlign(site: Site): Value {
  const attributes = {
    mode: site.text("mode", "avg"),
    outputHeight: site.int("output_height", 1),
    outputWidth: site.int("output_width", 1),
    samplingRatio: site.int("sampling_ratio", 0),
    spatialScale: site.float("spatial_scale", 1),
    // Older operator sets have no choice.
    halfPixel: site.version >= 16 && site.text("coordinate_transformation_mode", "half_pixel") === "half_pixel",
  };
  return channelsFirst(site, site.emit("roiAlign", [channelsLast(site, site.input(0)), site.input(1), site.input(2)], attributes));
}

export const DETECTION: Readonly<Record<string, Rule>> = { NonMaxSuppression: nonMaxSuppression, RoiAlign: roiAlign };
