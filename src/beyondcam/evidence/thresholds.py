"""Thresholds: how much evidence a pixel needs to be foreground.

A `Threshold` is one constant τ for all images and classes. An `AdaptiveThreshold` finds a τ for each image
and class in its evidence alone: no mask, no other image and no network is needed.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from beyondcam.evidence.levels import LEVELS, level_threshold, threshold_level
from beyondcam.evidence.winners import Winners

Counts = NDArray[np.int64]


@dataclass(frozen=True)
class Threshold:
    """A constant background score τ in [0, 1] on v; None where each image and class has a τ of its own."""

    value: float | None

    def __str__(self) -> str:
        return "one for each image and class" if self.value is None else f"{self.value:.3f}"

    def values(self, won: Counts) -> NDArray[np.float64]:
        """τ of each of some classes in an image, (k,); `won` (k, LEVELS) are the pixels they win by level."""
        return np.full(len(won), self.value, np.float64)

    def levels(self, won: Counts) -> Counts:
        """The level of the evidence above which a pixel is foreground, of each class: (k,)."""
        return np.array([threshold_level(value) for value in self.values(won)], np.int64)


@dataclass(frozen=True)
class AdaptiveThreshold(Threshold):
    """A τ for each image and class, where its evidence falls off.

    Of the pixels that a class wins, the n above t are taken for the thing, and the next 1.5 n for what is
    around it. t is the mean of the mean v of both,

        t = (mean v inside + mean v around) / 2,

    found by iteration as in Ridler and Calvard (1978), whose "around" is the rest of the picture. With a
    ground in proportion to the thing, t does not depend on how much of the picture the thing fills. τ is t
    drawn a quarter of the way to a constant, since a flat map says little about where it should be cut.

    The constants were chosen on masks of training images: 60 magnetic tiles, 48 VOC animals, 100 digits.

    Examples
    --------
    >>> won = np.zeros((1, LEVELS), np.int64)
    >>> won[0, 255], won[0, 51] = 100, 900  # a thing of v = 1 on a ground of v = 0.04
    >>> AdaptiveThreshold().values(won)
    array([0.565])

    """

    value: float | None = None

    START: ClassVar = 0.55
    AROUND: ClassVar = 1.5  # pixels around the thing, as a multiple of the thing's
    TYPICAL: ClassVar = 0.7  # what t is drawn to
    DRAWN: ClassVar = 0.25  # how far

    def values(self, won: Counts) -> NDArray[np.float64]:  # noqa: D102  (the base says it)
        v = level_threshold(np.arange(LEVELS))[::-1]
        falls = np.array([self._fall(counts, v) for counts in won[:, ::-1]])
        return (1 - self.DRAWN) * falls + self.DRAWN * self.TYPICAL

    def _fall(self, counts: Counts, v: NDArray[np.float64]) -> float:
        """The fixed point t; `counts` (LEVELS,) are pixels of evidence `v`, the most evidence first."""
        pixels = np.concatenate([[0], counts.cumsum()])  # (LEVELS + 1,)
        sums = np.concatenate([[0.0], (counts * v).cumsum()])  # of v over the first so many pixels
        t = self.START
        for _ in range(30):
            inside = max(1, int(counts[v > t + 1e-9].sum()))  # a flat map is not above its own mean
            both = min(pixels[-1], max(inside + 1, int((1 + self.AROUND) * inside)))
            of_inside, of_both = np.interp((inside, both), pixels, sums)
            before, t = t, (of_inside / inside + (of_both - of_inside) / max(1, both - inside)) / 2
            if abs(t - before) < 1e-3:
                break
        return float(t)


def won_by(winners: Winners) -> tuple[Counts, Counts]:
    """The labels (k,) that win somewhere in an image, and the pixels they win by level: (k, LEVELS)."""
    cells = winners.labels.astype(np.intp) * LEVELS + winners.levels
    won = np.bincount(cells.ravel(), minlength=256 * LEVELS).reshape(256, LEVELS)
    labels = np.flatnonzero(won.any(1))
    return labels, won[labels]
