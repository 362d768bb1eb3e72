"""Boundary IoU (Cheng et al. 2021, arXiv 2103.16562): IoU of what lies near the contours."""

import math

import numpy as np
from numpy.typing import NDArray

from beyondcam.data import VOID
from beyondcam.metrics.tally import Counts

BAND = 0.02
"""Width of the band along a contour, as a share of the picture's diagonal; the paper's."""


def count_boundaries(prediction: NDArray[np.uint8], truth: NDArray[np.uint8], classes: int) -> Counts:
    """Intersection, predicted and true pixels of each class's band, in the layout of `count_labels`.

    The band of a class is all of it that is within d pixels of its contour, d being `BAND` of the diagonal,
    counted along rows, columns and diagonals; what the picture's edge cuts off is a contour too. Pixels that
    are void in the truth belong to no class, so the band is of what remains of it. Background has no band of
    its own, so that means over classes leave it out.
    """
    reach = max(1, round(BAND * math.hypot(*truth.shape)))
    prediction = np.where(truth == VOID, np.uint8(VOID), prediction)
    counts = np.zeros((3, classes + 1), np.int64)
    for k in range(1, classes + 1):
        mine, own = (_band(labels == k, reach) for labels in (prediction, truth))
        counts[:, k] = (mine & own).sum(), mine.sum(), own.sum()
    return counts


def _band(mask: NDArray[np.bool_], reach: int) -> NDArray[np.bool_]:
    """The pixels of a mask (H, W) from which one outside of it can be reached in `reach` steps."""
    from scipy.ndimage import minimum_filter

    if not mask.any():
        return mask
    return mask & ~minimum_filter(mask, 2 * reach + 1, mode="constant", cval=False)
