"""Counts of evidence at every threshold, which metrics, curves and resamples are computed from."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from beyondcam.data import VOID
from beyondcam.data.masks import Masks
from beyondcam.evidence import LEVELS, AdaptiveThreshold, Shelf, Winners, by_level, winners_of
from beyondcam.outcome import ahead

Counts = NDArray[np.int64]
Absent = Literal["auto", "drop", "zero"]
"""How a class that the truth lacks counts in the mean IoU: see `mean_iou`."""


@dataclass(frozen=True)
class ImageTally:
    """Counts of one image over its pixels that are not void."""

    truths: Counts  # (t,), the labels in the truth
    labels: Counts  # (k,), the labels that win somewhere
    counts: NDArray[np.int32]  # (t, k, LEVELS), pixels by truth, winning label and the winner's level
    won: NDArray[np.int32]  # (k, LEVELS), pixels by winning label and level, also those void in the truth

    @classmethod
    def of(cls, winners: Winners, truth: NDArray[np.uint8]) -> "ImageTally":
        """Count one image; `truth` is uint8 (H, W)."""
        row = truth + np.uint8(1)  # void wraps around to 0, so that few rows are needed
        rows = int(row.max()) + 1
        labels = winners.present
        if len(labels) > 1:
            first = np.zeros(256, np.uint16)  # row of each label
            first[labels] = rows * np.arange(len(labels))
            row = first.take(winners.labels) + row
        every = by_level(row, winners.levels, len(labels) * rows).astype(np.int32)  # of all images, kept
        every = every.reshape(len(labels), rows, LEVELS).swapaxes(0, 1)
        counts = every[1:]  # without void
        truths = np.flatnonzero(counts.any((1, 2)))
        return cls(truths, labels, counts[truths], every.sum(0, np.int32))

    @property
    def shown(self) -> Counts:
        """The labels of the classes that the truth shows."""
        return self.truths[self.truths > 0]

    def levels_of_shown(self, levels: Counts) -> Counts:
        """Of `levels` (k,), one for each of `labels`, those of `shown`; the highest where it wins nowhere."""
        by_label = np.full(VOID + 1, LEVELS - 1)
        by_label[self.labels] = levels
        return by_label[self.shown]

    def at(self, levels: int | Counts, classes: int) -> Counts:
        """Intersection, predicted and true pixels of background and each class: (…, 3, classes + 1).

        `levels` is one for all, or (…, k), one for each of `labels`; a pixel above it is foreground.
        """
        levels = np.broadcast_to(levels, (*np.shape(levels)[:-1], len(self.labels)))  # (…, k)
        up_to = self.counts.cumsum(-1)  # (t, k, LEVELS)
        below = np.moveaxis(up_to[:, np.arange(len(self.labels)), levels], 0, -2)  # (…, t, k)
        labelled = up_to[..., -1] - below
        total = up_to[..., -1].sum(1)  # (t,)
        missed = total - labelled.sum(-1)  # (…, t), labelled background
        row, column = np.nonzero(self.truths[:, None] == self.labels)
        result = np.zeros((*levels.shape[:-1], 3, classes + 1), np.int64)
        result[..., 0, self.labels[column]] = labelled[..., row, column]
        result[..., 1, self.labels] = labelled.sum(-2)
        result[..., 2, self.truths] = total
        result[..., 0, 0] = missed[..., self.truths == 0].sum(-1)
        result[..., 1, 0] = missed.sum(-1)
        return result


@dataclass(frozen=True)
class Sweep:
    """Counts over a data set at every threshold, from one histogram."""

    won: Counts  # (classes + 1, LEVELS), pixels by winning label and its level
    hits: Counts  # likewise, those where the label is right
    background: Counts  # (LEVELS,), pixels of background by the winner's level
    true: Counts  # (classes + 1,), pixels of each label

    @classmethod
    def of(cls, tallies: Iterable[ImageTally], classes: int) -> "Sweep":
        """Add up the images."""
        shapes = (classes + 1, LEVELS), (classes + 1, LEVELS), LEVELS, classes + 1
        sweep = cls(*(np.zeros(shape, np.int64) for shape in shapes))
        for tally in tallies:
            sweep.add(tally)
        return sweep

    def add(self, tally: ImageTally) -> None:
        """Add one image."""
        self.won[tally.labels] += tally.counts.sum(0)
        row, column = np.nonzero(tally.truths[:, None] == tally.labels)
        self.hits[tally.labels[column]] += tally.counts[row, column]
        self.background[:] += tally.counts[tally.truths == 0].sum((0, 1))
        self.true[tally.truths] += tally.counts.sum((1, 2))

    @property
    def intersection(self) -> Counts:
        """Pixels labelled correctly at thresholds on the level: (classes + 1, LEVELS)."""
        return np.concatenate([self.background.cumsum()[None], above(self.hits[1:])])

    @property
    def predicted(self) -> Counts:
        """Pixels labelled at thresholds on the level: (classes + 1, LEVELS)."""
        return np.concatenate([self.won.cumsum(1).sum(0)[None], above(self.won[1:])])

    def miou(self, absent: Absent = "auto") -> NDArray[np.float64]:
        """The mean IoU at every level: (LEVELS,)."""
        true = self.true[:, None]
        return mean_iou(iou(self.intersection, self.predicted, true), true, absent)

    def best_level(self, absent: Absent = "auto") -> int:
        """The level with the highest mean IoU, the lowest of several."""
        return int(self.miou(absent).argmax())

    @property
    def has_object(self) -> bool:
        """Whether the truth shows anything but background; else no threshold is better than another."""
        return bool(self.true[1:].any())


@dataclass(frozen=True)
class FallSweep:
    """Counts over a data set at every fall of the adaptive threshold."""

    counts: Counts  # (falls, 3, classes + 1), of each fall as `ImageTally.at` has them

    @classmethod
    def of(cls, tallies: Iterable[ImageTally], classes: int) -> "FallSweep":
        """Add up the images."""
        sweep = cls(np.zeros((len(AdaptiveThreshold.FALLS), 3, classes + 1), np.int64))
        for tally in tallies:
            sweep.add(tally)
        return sweep

    def add(self, tally: ImageTally) -> None:
        """Add one image."""
        classes = self.counts.shape[-1] - 1
        self.counts[:] += tally.at(AdaptiveThreshold.levels_by_fall(tally.won), classes)

    def best(self, absent: Absent) -> float:
        """The fall with the highest mean IoU, of several the one nearest to the default.

        It is the default where that is not above `AdaptiveThreshold.TRUSTED`: what witnesses see of
        small things is a blur, which no threshold of sharper evidence comes near.
        """
        falls, default = AdaptiveThreshold.FALLS, AdaptiveThreshold.fall
        intersection, predicted, true = np.moveaxis(self.counts, 0, -1)  # (classes + 1, falls) each
        mious = mean_iou(iou(intersection, predicted, true), true, absent)
        best = max(range(len(falls)), key=lambda n: (mious[n], -abs(falls[n] - default)))
        return falls[best] if mious[best] > AdaptiveThreshold.TRUSTED else default


def tallies_of(shelf: Shelf, ids: Iterable[str], masks: Masks) -> Iterator[ImageTally]:
    """The counts of those of the images that are mapped."""

    def tally(image_id: str) -> ImageTally:
        evidence = shelf.read(image_id)
        return ImageTally.of(winners_of(evidence), masks.truth(image_id, evidence.size))

    yield from ahead(tally, [i for i in ids if shelf.path(i).exists()])


def resampled(by_image: Counts, weights: Counts) -> tuple[Counts, Counts, Counts]:
    """Intersection, predicted and true pixels: (samples, classes + 1) each.

    `by_image` (images, 3, classes + 1) are those of each image; `weights` (samples, images) says how often it
    counts in each sample.
    """
    sums = np.tensordot(weights.astype(float), by_image.astype(float), 1)  # BLAS has none of integers
    intersection, predicted, true = np.moveaxis(sums.astype(np.int64), 1, 0)
    return intersection, predicted, true


def resampled_miou(by_image: Counts, weights: Counts, absent: Absent = "auto") -> NDArray[np.float64]:
    """The mean IoU of every sample, (samples,); arguments as of `resampled` and `mean_iou`."""
    return sampled_miou(*resampled(by_image, weights), absent)


def sampled_miou(
    intersection: Counts, predicted: Counts, true: Counts, absent: Absent = "auto"
) -> NDArray[np.float64]:
    """The mean IoU of every sample, (samples,), of pixels as `resampled` has them."""
    return mean_iou(iou(intersection, predicted, true).T, true.T, absent, drawn(true).T)


def drawn(true: Counts) -> NDArray[np.bool_]:
    """Which classes take part in the figures of each sample: (samples, classes + 1), as `true`.

    One that the full sample shows, which comes first, and a resample does not, has no part in that resample:
    its IoU there, 0 where it is predicted, would say nothing but that it was not drawn.
    """
    return (true > 0) | (true[0] == 0)


def above(counts: Counts) -> Counts:
    """Of counts by level (…, LEVELS), those above each level."""
    return counts.sum(-1, keepdims=True) - counts.cumsum(-1)


def iou(intersection: Counts, predicted: Counts, true: Counts) -> NDArray[np.float64]:
    """Intersection over union, NaN where a class is neither in the truth nor predicted."""
    union = predicted + true - intersection
    with np.errstate(invalid="ignore"):
        return np.where(union > 0, intersection / np.maximum(union, 1), np.nan)


def mean_iou(
    by_class: NDArray[np.float64],
    true: Counts,
    absent: Absent = "auto",
    among: NDArray[np.bool_] | None = None,
) -> NDArray[np.float64]:
    """Mean over the first axis, the classes; of those `among` them where that is given.

    `absent` says what a class absent from the truth does: "auto" leaves it out, or counts it 0 where it is
    predicted; "drop" always leaves it out; "zero" always counts it 0.
    """
    if absent == "drop":
        by_class = np.where(true > 0, by_class, np.nan)
    if absent == "zero":
        by_class = np.nan_to_num(by_class)
    counted = ~np.isnan(by_class)
    if among is not None:
        counted &= among
    return np.where(counted, by_class, 0).sum(0) / np.maximum(counted.sum(0), 1)
