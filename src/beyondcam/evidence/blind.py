"""A threshold from evidence alone: what someone has who has no mask at all.

The data set's winning evidence v falls into two heaps, background and foreground. The rule `blind` parts them
where Otsu's criterion (1979, IEEE Transactions on Systems, Man, and Cybernetics 9) does.
"""

import numpy as np
from numpy.typing import NDArray

from beyondcam.evidence.store import LEVELS

POWER = 1.5
"""Otsu's criterion is asked about v to this power. Chosen on 88 training images of the VOC animals and 100 of
the digits, for `cam` and `best`: below it the seeds come out too large, above it those of `cam` on photos too
small."""


def blind_level(counts: NDArray[np.int64]) -> int:
    """The highest level of the background, from the pixels at each winning level: int64 (LEVELS,).

    It makes the variance of v ** POWER between the two sides the largest.
    """
    value = (np.arange(LEVELS) / (LEVELS - 1)) ** (2 * POWER)
    below = counts.cumsum(dtype=np.float64)
    above = below[-1] - below
    mass = (counts * value).cumsum()
    apart = mass / np.maximum(below, 1) - (mass[-1] - mass) / np.maximum(above, 1)  # the two sides' means
    return int((below * above * apart**2).argmax())
