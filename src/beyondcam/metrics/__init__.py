"""Metrics: how good evidence is, at every threshold, with intervals."""

from beyondcam.metrics.bootstrap import estimate, sample_weights
from beyondcam.metrics.labels import LabelCounts, count_labels, label_mious, score_labels
from beyondcam.metrics.rows import (
    SCORE,
    Absent,
    Comparison,
    Curve,
    NetworkRow,
    Origin,
    Row,
    Scores,
    TrainedOn,
    read_records,
    read_scores,
    write_scores,
)
from beyondcam.metrics.score import METRICS, REFERENCE, Training, score_split
from beyondcam.metrics.segments import counts_of, read_segments, share_of_truth, write_segment
from beyondcam.metrics.tally import ImageTally, Sweep, counts_at, iou, mean_iou, resampled_miou, tallies_of
from beyondcam.metrics.thresholds import band_of, threshold_of

__all__ = [
    "METRICS",
    "REFERENCE",
    "SCORE",
    "Absent",
    "Comparison",
    "Curve",
    "ImageTally",
    "LabelCounts",
    "NetworkRow",
    "Origin",
    "Row",
    "Scores",
    "Sweep",
    "TrainedOn",
    "Training",
    "band_of",
    "count_labels",
    "counts_at",
    "counts_of",
    "estimate",
    "iou",
    "label_mious",
    "mean_iou",
    "read_records",
    "read_scores",
    "read_segments",
    "resampled_miou",
    "sample_weights",
    "score_labels",
    "score_split",
    "share_of_truth",
    "tallies_of",
    "threshold_of",
    "write_scores",
    "write_segment",
]
