"""Bootstrap over images: 95 % intervals, and paired ones from the same resamples."""

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 1000

Interval = tuple[float, float]


def sample_weights(images: int) -> NDArray[np.int64]:
    """How often each image counts in the full sample, which comes first, and in each resample.

    int64 (1 + RESAMPLES, images), the same for the same number of images.
    """
    drawn = np.random.default_rng(0).multinomial(images, np.full(images, 1 / images), size=RESAMPLES)
    return np.concatenate([np.ones((1, images), np.int64), drawn])


def estimate(samples: NDArray[np.float64]) -> tuple[float, Interval | None]:
    """A metric in the full sample, which comes first, and its interval over the resamples."""
    return float(samples[0]), interval(samples[1:])


def interval(samples: NDArray[np.float64]) -> Interval | None:
    """The 2.5 % and 97.5 % quantiles of a metric's resamples, None where it has no value."""
    finite = samples[np.isfinite(samples)]
    if not len(finite):
        return None
    low, high = np.quantile(finite, (0.025, 0.975))
    return float(low), float(high)
