"""One pass over the evidence: what every threshold, region metric and resample is worked out from."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from beyondcam.data import VOID
from beyondcam.evidence import LEVELS, Winners

Counts = NDArray[np.int64]


@dataclass(frozen=True)
class ImageTally:
    """Counts of one image over its pixels that are not void.

    Attributes
    ----------
    truths : (t,), the labels in the truth.
    labels : (k,), the labels that win somewhere.
    counts : (t, k, LEVELS), pixels by truth, winning label and the winner's level.

    """

    truths: Counts
    labels: Counts
    counts: Counts

    @classmethod
    def of(cls, winners: Winners, truth: NDArray[np.uint8]) -> "ImageTally":
        """Count one image; `truth` is uint8 (H, W)."""
        truths = np.flatnonzero(np.bincount(truth.ravel(), minlength=256)[:VOID])
        labels = np.flatnonzero(np.bincount(winners.labels.ravel(), minlength=256))
        row = np.full(256, len(truths))  # void goes to a last row, which is dropped
        row[truths] = np.arange(len(truths))
        column = np.zeros(256, np.int64)
        column[labels] = np.arange(len(labels))
        cells = (row[truth] * len(labels) + column[winners.labels]) * LEVELS + winners.levels
        shape = (len(truths) + 1, len(labels), LEVELS)
        counts = np.bincount(cells.ravel(), minlength=math.prod(shape)).reshape(shape)
        return cls(truths, labels, counts[:-1].copy())

    def at(self, level: int, classes: int) -> Counts:
        """Intersection, predicted and true pixels of background and each class: (3, classes + 1)."""
        above = self.counts[:, :, level + 1 :].sum(-1)
        below = self.counts[:, :, : level + 1].sum((1, 2))
        result = np.zeros((3, classes + 1), np.int64)
        for row, t in enumerate(self.truths):
            result[2, t] = self.counts[row].sum()
            result[1, 0] += below[row]
            if t == 0:
                result[0, 0] = below[row]
            for column, k in enumerate(self.labels):
                result[1, k] += above[row, column]
                if t == k:
                    result[0, k] += above[row, column]
        return result


@dataclass(frozen=True)
class Sweep:
    """Counts over a data set at every threshold, from one histogram.

    Attributes
    ----------
    intersection, predicted : (classes + 1, LEVELS), at thresholds on the level.
    true : (classes + 1,).

    """

    intersection: Counts
    predicted: Counts
    true: Counts

    @classmethod
    def of(cls, tallies: Sequence[ImageTally], classes: int) -> "Sweep":
        """Add up the images."""
        total = np.zeros((classes + 1, classes + 1, LEVELS), np.int64)
        for tally in tallies:
            total[np.ix_(tally.truths, tally.labels)] += tally.counts
        below = total.cumsum(-1)
        above = total.sum(-1)[..., None] - below
        intersection = np.einsum("kkl->kl", above).copy()
        predicted = above.sum(0)
        intersection[0] = below[0].sum(0)
        predicted[0] = below.sum((0, 1))
        return cls(intersection, predicted, total.sum((1, 2)))

    def miou(self, absent: str = "auto") -> NDArray[np.float64]:
        """The mean IoU at every level: (LEVELS,)."""
        return mean_iou(
            iou(self.intersection, self.predicted, self.true[:, None]), self.true[:, None], absent
        )

    def best_level(self, absent: str = "auto") -> int:
        """The level with the highest mean IoU, the lowest of several."""
        return int(self.miou(absent).argmax())


def iou(intersection: Counts, predicted: Counts, true: Counts) -> NDArray[np.float64]:
    """Intersection over union, NaN where a class is neither in the truth nor predicted."""
    union = predicted + true - intersection
    with np.errstate(invalid="ignore"):
        return np.where(union > 0, intersection / np.maximum(union, 1), np.nan)


def mean_iou(by_class: NDArray[np.float64], true: Counts, absent: str = "auto") -> NDArray[np.float64]:
    """Mean over the first axis, the classes.

    `absent` says what a class absent from the truth does: "auto" leaves it out, or counts it 0 where it is
    predicted; "drop" always leaves it out; "zero" always counts it 0.
    """
    if absent == "drop":
        by_class = np.where(true > 0, by_class, np.nan)
    if absent == "zero":
        by_class = np.nan_to_num(by_class)
    counted = ~np.isnan(by_class)
    return np.nan_to_num(by_class).sum(0) / np.maximum(counted.sum(0), 1)
