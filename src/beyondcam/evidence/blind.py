"""A threshold from evidence alone: what someone has who has no mask at all.

The data set's winning evidence v falls into two heaps, background and foreground. The rule `blind` parts them
where Otsu's criterion (1979, IEEE Transactions on Systems, Man, and Cybernetics 9) does.
"""

import numpy as np
from numpy.typing import NDArray

from beyondcam.evidence.store import LEVELS


def blind_level(counts: NDArray[np.int64]) -> int:
    """The highest level of the background, from the pixels at each winning level: int64 (LEVELS,).

    It makes the variance of v between the two sides the largest.
    """
    v = (np.arange(LEVELS) / (LEVELS - 1)) ** 2
    total = counts.sum()
    below = counts.cumsum()
    mass = (counts * v).cumsum()
    with np.errstate(invalid="ignore"):
        between = (mass[-1] * below / total - mass) ** 2 / (below * (total - below))
    return int(np.nan_to_num(between).argmax())
