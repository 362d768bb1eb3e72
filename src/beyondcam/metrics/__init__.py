"""Metrics: how good evidence is, at every threshold, with intervals."""

from beyondcam.metrics.bootstrap import FEW, Interval, estimate, holm, p_value, sample_weights
from beyondcam.metrics.boundary import count_boundaries
from beyondcam.metrics.labels import LabelCounts, count_labels, label_mious, score_labels
from beyondcam.metrics.metric import METRICS, Metric, Pixels, number
from beyondcam.metrics.protocols import PROTOCOLS, Evaluation, Protocol, evaluate
from beyondcam.metrics.rows import NetworkRow, Row, TrainedOn
from beyondcam.metrics.rules import RULES
from beyondcam.metrics.score import REFERENCE, score_split
from beyondcam.metrics.scores import Scores, read_scores, write_scores
from beyondcam.metrics.segments import counts_of, read_segments, share_of_truth, write_segment
from beyondcam.metrics.supervision import (
    Supervision,
    pretraining_of,
    supervision_of,
    supervision_of_network,
)
from beyondcam.metrics.tally import ImageTally, Sweep, resampled_miou, tallies_of
from beyondcam.metrics.thresholds import ThresholdSplit, band_of, second_opinion, threshold_of

__all__ = [
    "FEW",
    "METRICS",
    "PROTOCOLS",
    "REFERENCE",
    "RULES",
    "Evaluation",
    "ImageTally",
    "Interval",
    "LabelCounts",
    "Metric",
    "NetworkRow",
    "Pixels",
    "Protocol",
    "Row",
    "Scores",
    "Supervision",
    "Sweep",
    "ThresholdSplit",
    "TrainedOn",
    "band_of",
    "count_boundaries",
    "count_labels",
    "counts_of",
    "estimate",
    "evaluate",
    "holm",
    "label_mious",
    "number",
    "p_value",
    "pretraining_of",
    "read_scores",
    "read_segments",
    "resampled_miou",
    "sample_weights",
    "score_labels",
    "score_split",
    "second_opinion",
    "share_of_truth",
    "supervision_of",
    "supervision_of_network",
    "tallies_of",
    "threshold_of",
    "write_scores",
    "write_segment",
]
