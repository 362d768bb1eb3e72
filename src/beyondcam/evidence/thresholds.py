"""Thresholds: how much evidence a pixel needs to be foreground.

A `Threshold` is one constant τ for all images and classes. An `AdaptiveThreshold` finds a τ for each image
and class in its evidence.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from beyondcam.errors import BeyondcamError
from beyondcam.evidence.levels import threshold_level, threshold_levels

Counts = NDArray[np.integer[Any]]


@dataclass(frozen=True)
class Threshold:
    """A constant background score τ in [0, 1] on v; None where each image and class has a τ of its own."""

    value: float | None
    fall: float | None = None  # of an `AdaptiveThreshold`

    def __post_init__(self) -> None:
        if self.value is not None:
            within_unit(self.value, "threshold")

    def __str__(self) -> str:
        return f"{self.value:.3f}"

    def values(self, won: Counts) -> NDArray[np.float64]:
        """τ of each of some classes in an image, (k,); `won` (k, LEVELS) are the pixels they win by level."""
        return np.full(len(won), self.value, np.float64)

    def levels(self, won: Counts) -> NDArray[np.int64]:
        """The level of the evidence above which a pixel is foreground, of each class: (k,)."""
        return threshold_levels(self.values(won))


@dataclass(frozen=True)
class AdaptiveThreshold(Threshold):
    """A τ for each image and class: the more of the picture is strong evidence, the lower it is.

    Evidence of a small thing is a spot wider than the thing, which a high τ cuts to size; of a thing that
    fills the picture only parts have strong evidence, and a low τ adds the rest. With a the share of the
    picture that the class wins with v above ½,

        τ = 0.75 - fall · a / (a + 0.2).

    The fall is one for a data set. The constants were chosen on masks of training images that the
    classifiers were not trained on: 52 magnetic tiles, 94 VOC animals, 120 digits; `TRUSTED` on 96 of each,
    of which the tiles and animals were trained on.

    Examples
    --------
    >>> won = np.zeros((1, LEVELS), np.int64)
    >>> won[0, 255], won[0, 51] = 100, 900  # a thing of v = 1 on a ground of v = 0.04
    >>> AdaptiveThreshold().values(won).round(3)
    array([0.617])

    """

    value: float | None = None
    fall: float = 0.4

    SMALL: ClassVar = 0.75  # τ of a thing of no size
    HALFWAY: ClassVar = 0.2  # the share of the picture at which τ has come down by half of the fall
    FALLS: ClassVar = (0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.0)
    TRUSTED: ClassVar = 0.6  # the mIoU with what witnesses agree on from which they choose the fall

    def __str__(self) -> str:
        if not self.fall:
            return f"{self.SMALL} for each image and class"
        return f"one for each image and class, from {self.SMALL} down by up to {self.fall}"

    def values(self, won: Counts) -> NDArray[np.float64]:  # noqa: D102  (the base says it)
        return self.SMALL - self.fall * self._fallen(won)

    @classmethod
    def levels_by_fall(cls, won: Counts) -> NDArray[np.int64]:
        """The levels at each of `FALLS`, the lowest first: (falls, k)."""
        return threshold_levels(cls.SMALL - np.outer(cls.FALLS, cls._fallen(won)))

    @classmethod
    def _fallen(cls, won: Counts) -> NDArray[np.float64]:
        """How much of the fall τ has come down for each class: (k,)."""
        area = won[:, threshold_level(0.5) + 1 :].sum(1) / won.sum()
        return area / (area + cls.HALFWAY)


def within_unit(value: float | str, parameter: str) -> float:
    """A value in [0, 1]. Raises `ValueError` where it is no number, else `BeyondcamError`."""
    number = float(value)
    if not 0 <= number <= 1:
        raise BeyondcamError(f"{value} is not between 0 and 1", parameter=parameter)
    return number
