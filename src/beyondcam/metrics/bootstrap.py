"""Bootstrap over images: 95 % intervals, and paired ones from the same resamples."""

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 1000


def resample_weights(images: int, resamples: int = RESAMPLES, seed: int = 0) -> NDArray[np.int64]:
    """How often each image is drawn in each resample: (resamples, images)."""
    rng = np.random.default_rng(seed)
    return rng.multinomial(images, np.full(images, 1 / images), size=resamples)


def interval(samples: NDArray[np.float64]) -> tuple[float, float] | None:
    """The 2.5 % and 97.5 % quantiles of a metric's resamples, None where it has no value."""
    finite = samples[np.isfinite(samples)]
    if not len(finite):
        return None
    low, high = np.quantile(finite, (0.025, 0.975))
    return float(low), float(high)
