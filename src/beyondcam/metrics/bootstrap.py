"""Bootstrap over images: 95 % intervals, paired ones from the same resamples, and tests of many at once."""

from collections.abc import Hashable, Mapping
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 1000

FEW = 30
"""Below this many images a bootstrap interval is too narrow to be taken at its word."""

Interval = tuple[float, float]

Estimate = tuple[float, Interval | None]
"""A value, and its 95 % interval where it has one."""

Question = TypeVar("Question", bound=Hashable)


def sample_weights(images: int) -> NDArray[np.int64]:
    """How often each image counts in the full sample, which comes first, and in each resample.

    int64 (1 + RESAMPLES, images), the same for the same number of images.
    """
    drawn = np.random.default_rng(0).multinomial(images, np.full(images, 1 / images), size=RESAMPLES)
    return np.concatenate([np.ones((1, images), np.int64), drawn])


def estimate(samples: NDArray[np.float64]) -> Estimate:
    """A metric in the full sample, which comes first, and its interval over the resamples."""
    return float(samples[0]), interval(samples[1:])


def interval(samples: NDArray[np.float64]) -> Interval | None:
    """The 2.5 % and 97.5 % quantiles of a metric's resamples, None where it has no value."""
    finite = samples[np.isfinite(samples)]
    if not len(finite):
        return None
    low, high = np.quantile(finite, (0.025, 0.975))
    return float(low), float(high)


def p_value(differences: NDArray[np.float64]) -> float:
    """How easily a paired difference of 0 gives one as clear as this: two-sided, from its resamples.

    Twice the smaller share of resamples on either side of 0, the full sample counting on both, so that it is
    never 0.
    """
    resamples = differences[1:][np.isfinite(differences[1:])]
    below, above = (1 + int((side * resamples <= 0).sum()) for side in (1, -1))
    return min(1.0, 2 * min(below, above) / (len(resamples) + 1))


def holm(p_values: Mapping[Question, float]) -> dict[Question, float]:
    """P values for several questions asked at once (Holm 1979): at most 5 % of such tables err anywhere.

    The smallest of m is multiplied by m, the next by m - 1, and so on; none becomes smaller than one before.
    """
    adjusted: dict[Question, float] = {}
    least = 0.0
    for n, name in enumerate(sorted(p_values, key=p_values.__getitem__)):
        least = adjusted[name] = max(least, min(1.0, (len(p_values) - n) * p_values[name]))
    return adjusted
