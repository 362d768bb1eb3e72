"""Values and differences with their 95 % intervals, as text."""

import math

import numpy as np
from numpy.typing import NDArray

from beyondcam.metrics.bootstrap import FEW, Interval, estimate
from beyondcam.metrics.rows import Row


def caution(images: int) -> str | None:
    """Why intervals over these images are not to be taken at their word; None where there are enough."""
    return (
        f"{images} images are few: bootstrap intervals over so few are too narrow" if images < FEW else None
    )


def cell(row: Row, metric: str = "miou") -> str:
    """A metric of a row with its interval, as a table shows it."""
    return bounded(row.metrics[metric], row.ci.get(metric))


def bounded(value: float | None, interval: Interval | None) -> str:
    """A value with its interval, or a dash where either is missing."""
    if value is None or interval is None:
        return "–"
    return f"{value:.3f} [{interval[0]:.3f}, {interval[1]:.3f}]"


def estimated(samples: NDArray[np.float64]) -> str:
    """A value with its interval; the full sample comes first, then its resamples."""
    return bounded(*estimate(samples))


def signed(difference: tuple[float, float, float]) -> str:
    """A difference and its interval with their signs, or a dash where it is NaN.

    >>> signed((0.1, -0.05, 0.2))
    '+0.100 [-0.050, +0.200]'
    """
    return "–" if math.isnan(difference[0]) else "{:+.3f} [{:+.3f}, {:+.3f}]".format(*difference)


def change(differences: NDArray[np.float64]) -> str:
    """A paired difference with its interval, likewise."""
    value, interval = estimate(differences)
    return signed((value, *(interval or (value, value))))
