import type { Attributes, Node } from "../../graph/index.ts";
import { attributesOf, type DetectionPostprocessAttributes, type NonMaxSuppressionAttributes } from "../../ops/index.ts";
import { type ConstantInput, customRow, type OperatorRow, type OperatorRows, row, scalarOf } from "./row.ts";
import type { Site } from "./site.ts";

const real = (value: number): ConstantInput => ({ dtype: "float32", shape: [], data: Float32Array.of(value) });

function suppression(site: Site, scores: boolean): Attributes {
  // The usual way of saying that every score counts.
  const every = site.constantOrNull(4)?.[0] === -Infinity;
  return {
    most: site.positive(site.constantScalar(2), "the number of boxes"),
    iouThreshold: site.constantScalar(3),
    inclusive: true,
    ...(every ? {} : { scoreThreshold: site.constantScalar(4) }),
    centered: false,
    scores,
  };
}

/** The constants of a node that has what the format knows; null for others. */
function suppressionConstants(node: Node, withScores: boolean): ConstantInput[] | null {
  const { most, iouThreshold, inclusive, scoreThreshold = -Infinity, centered, scores } = attributesOf<NonMaxSuppressionAttributes>(node);
  if (scores !== withScores || !inclusive || centered || node.inputs[0]!.shape.length !== 2) return null;
  return [scalarOf(most), real(iouThreshold), real(scoreThreshold)];
}

const version4: OperatorRow = row("nonMaxSuppression", "xxccc", {
  read: (site) => suppression(site, false),
  write(node) {
    const constants = suppressionConstants(node, false);
    return constants === null ? null : { constants };
  },
});

const version5: OperatorRow = row("nonMaxSuppression", "xxcccc", {
  read(site) {
    if (site.constantScalar(5) !== 0)
      site.unsupported("scores that fall with the overlap (soft_nms_sigma above 0) are not supported", "Export the model with soft_nms_sigma 0.");
    return suppression(site, true);
  },
  write(node) {
    const constants = suppressionConstants(node, true);
    return constants === null ? null : { constants: [...constants, real(0)] };
  },
});

const SCALES = ["y_scale", "x_scale", "h_scale", "w_scale"] as const;

const postprocess: OperatorRow = customRow("detectionPostprocess", "xxx", {
  read(site) {
    const byClass = site.customNumber("use_regular_nms", 0) !== 0;
    if (!byClass && site.customInt("max_classes_per_detection") !== 1)
      site.unsupported(
        "several classes for one detection are not supported",
        "Export the model with max_classes_per_detection 1, or with use_regular_nms.",
      );
    return {
      classes: site.positive(site.customInt("num_classes"), "the number of classes"),
      most: site.positive(site.customInt("max_detections"), "the number of detections"),
      byClass,
      mostPerClass: site.customNumber("detections_per_class", 100),
      scoreThreshold: site.customNumber("nms_score_threshold"),
      iouThreshold: site.customNumber("nms_iou_threshold"),
      scales: SCALES.map((name) => site.customNumber(name)),
    };
  },
  write(node) {
    const { classes, most, byClass, mostPerClass, scoreThreshold, iouThreshold, scales } = attributesOf<DetectionPostprocessAttributes>(node);
    const options = {
      num_classes: classes,
      max_detections: most,
      max_classes_per_detection: 1,
      detections_per_class: mostPerClass,
      use_regular_nms: Number(byClass),
      nms_score_threshold: scoreThreshold,
      nms_iou_threshold: iouThreshold,
      ...Object.fromEntries(SCALES.map((name, i) => [name, scales[i]!])),
    };
    return { options };
  },
});

/** What detectors end with: results as long as they can become, and how much of them counts. */
export const DETECTION_ROWS: OperatorRows = { NON_MAX_SUPPRESSION_V4: version4, NON_MAX_SUPPRESSION_V5: version5 };

export const CUSTOM_DETECTION_ROWS: OperatorRows = { TFLite_Detection_PostProcess: postprocess };
