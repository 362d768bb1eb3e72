"""Metrics: how good evidence is, at every threshold, with intervals."""

from beyondcam.metrics.bootstrap import estimate, sample_weights
from beyondcam.metrics.results import threshold_of, write_scores
from beyondcam.metrics.score import FAMILY, METRICS, REFERENCE, Scores, Training, score_split
from beyondcam.metrics.tally import ImageTally, Sweep, iou, mean_iou, resampled

__all__ = [
    "FAMILY",
    "METRICS",
    "REFERENCE",
    "ImageTally",
    "Scores",
    "Sweep",
    "Training",
    "estimate",
    "iou",
    "mean_iou",
    "resampled",
    "sample_weights",
    "score_split",
    "threshold_of",
    "write_scores",
]
