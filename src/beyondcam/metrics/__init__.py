"""Metrics: how good evidence is, at every threshold, with intervals."""

from beyondcam.metrics.bootstrap import estimate, sample_weights
from beyondcam.metrics.labels import LabelCounts, count_labels, label_mious, score_labels
from beyondcam.metrics.results import band_of, threshold_of, write_scores
from beyondcam.metrics.score import METRICS, REFERENCE, Scores, Training, score_split
from beyondcam.metrics.segments import counts_of, read_segments, share_of_truth, write_segment
from beyondcam.metrics.tally import ImageTally, Sweep, counts_at, iou, mean_iou, resampled_miou, tallies_of

__all__ = [
    "METRICS",
    "REFERENCE",
    "ImageTally",
    "LabelCounts",
    "Scores",
    "Sweep",
    "Training",
    "band_of",
    "count_labels",
    "counts_at",
    "counts_of",
    "estimate",
    "iou",
    "label_mious",
    "mean_iou",
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
