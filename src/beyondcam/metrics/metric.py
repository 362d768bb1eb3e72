"""Metrics: values computed from counted pixels. An entry of `METRICS` is a column of every table and page."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from beyondcam.metrics.regions import share
from beyondcam.metrics.tally import Absent, Counts, drawn, iou, sampled_miou


@dataclass(frozen=True)
class Pixels:
    """Pixels of a recipe under one rule, counted in the full sample of images, then in each resample."""

    intersection: Counts  # (samples, classes + 1), of background and each class
    predicted: Counts  # likewise
    true: Counts
    regions: tuple[Counts, Counts] | None  # in DR, right and all: (samples,) each; None without a CAM
    absent: Absent = "auto"  # how a class that the truth lacks counts in a mean over classes

    @property
    def iou(self) -> NDArray[np.float64]:
        """IoU of background and each class, NaN in a resample without it: (samples, classes + 1)."""
        return np.where(drawn(self.true), iou(self.intersection, self.predicted, self.true), np.nan)

    @property
    def foreground(self) -> tuple[Counts, Counts, Counts]:
        """Foreground pixels labelled correctly, predicted and true: (samples,) each."""
        right, predicted, true = (n[:, 1:].sum(1) for n in (self.intersection, self.predicted, self.true))
        return right, predicted, true


@dataclass(frozen=True)
class Metric:
    """A number that says how good a recipe is."""

    name: str  # its key in scores.json
    label: str  # its heading in tables
    measure: Callable[[Pixels], NDArray[np.float64] | None]  # (samples,); None where it cannot be measured
    higher_is_better: bool = True
    form: str = ".3f"  # how a value is formatted
    by_construction: bool = False  # whether its definition fixes the value of the reference CAM itself

    @property
    def heading(self) -> str:
        """The label, with ↓ where lower is better."""
        return self.label if self.higher_is_better else f"{self.label} ↓"


def _miou(pixels: Pixels) -> NDArray[np.float64]:
    return sampled_miou(pixels.intersection, pixels.predicted, pixels.true, pixels.absent)


def _dr_recall(pixels: Pixels) -> NDArray[np.float64] | None:
    return share(*pixels.regions) if pixels.regions else None


def _ndr_recall(pixels: Pixels) -> NDArray[np.float64] | None:
    if not pixels.regions:
        return None
    (right, _, true), (right_in_dr, dr) = pixels.foreground, pixels.regions
    return share(right - right_in_dr, true - dr)


def _fg_precision(pixels: Pixels) -> NDArray[np.float64] | None:
    right, predicted, _ = pixels.foreground
    return share(right, predicted) if pixels.regions else None  # it qualifies the recalls


METRICS = {
    metric.name: metric
    for metric in (
        Metric("miou", "mIoU", _miou),
        Metric("dr_recall", "DR-Recall", _dr_recall, by_construction=True),
        Metric("ndr_recall", "NDR-Recall", _ndr_recall, by_construction=True),
        Metric("fg_precision", "FG-Precision", _fg_precision),
    )
}
"""By name, in the order of columns; rows are ranked by `miou`."""


def number(value: float | None, form: str = ".3f") -> str:
    """A number, or a dash where there is none."""
    return "–" if value is None or not math.isfinite(value) else format(value, form)
