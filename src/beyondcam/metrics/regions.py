"""Discriminative regions (DR): how much of what the reference CAM finds, and misses, a recipe finds.

The names are the study's (arXiv 2308.11052); the formulas are this project's, see docs/metrics.md.
"""

import numpy as np
from numpy.typing import NDArray

from beyondcam.data import VOID
from beyondcam.evidence import LEVELS, Winners, by_level
from beyondcam.metrics.tally import Counts


def foreground(mask: NDArray[np.uint8]) -> NDArray[np.intp]:
    """Where a mask (H, W) shows a class, as flat indices (n,)."""
    return np.flatnonzero(mask - np.uint8(1) < VOID - 1)  # background wraps around


def right_levels(winners: Winners, places: NDArray[np.intp], truth: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The level below which a threshold labels each of some pixels correctly, 0 for never: (n,).

    `places` are their flat indices, `truth` is their labels; both (n,).
    """
    return winners.levels.ravel()[places] * (winners.labels.ravel()[places] == truth)


def joint_levels(right: NDArray[np.uint8], reference: NDArray[np.uint8]) -> Counts:
    """Foreground pixels by the recipe's right level and the reference's: (LEVELS, LEVELS)."""
    return by_level(right, reference, LEVELS)


def region_levels(joint: Counts, reference_level: int) -> Counts:
    """Pixels in DR by the recipe's right level: (LEVELS,)."""
    return joint[:, reference_level + 1 :].sum(1)


def recall_curve(joint: Counts, level: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """DR-Recall and NDR-Recall of a recipe at `level`, over the reference's level: (LEVELS,) each."""
    by_reference = joint.sum(0)
    right_by_reference = joint[level + 1 :].sum(0)
    dr = by_reference.sum() - by_reference.cumsum()
    right_in_dr = right_by_reference.sum() - right_by_reference.cumsum()
    right, foreground = right_by_reference.sum(), by_reference.sum()
    return share(right_in_dr, dr), share(right - right_in_dr, foreground - dr)


def share(part: Counts, whole: Counts) -> NDArray[np.float64]:
    """Part over whole, NaN where the whole is 0; of any one shape."""
    part, whole = np.asarray(part, float), np.asarray(whole, float)
    return np.divide(part, whole, out=np.full(np.broadcast(part, whole).shape, np.nan), where=whole > 0)
