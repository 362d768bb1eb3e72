"""Region metrics: how much of what the reference CAM finds, and misses, a recipe finds.

The names are the study's (arXiv 2308.11052); the formulas are this project's, see docs/metrics.md.
"""

import numpy as np
from numpy.typing import NDArray

from beyondcam.data import VOID
from beyondcam.evidence import LEVELS, Winners
from beyondcam.metrics.tally import Counts


def region_levels(
    winners: Winners, reference: Winners, truth: NDArray[np.uint8], reference_level: int
) -> tuple[Counts, int, int]:
    """Right pixels of a recipe in DR by their level (LEVELS,), |DR| and the number of foreground pixels."""
    discriminative = reference.right(truth) > reference_level
    inside = np.bincount(winners.right(truth)[discriminative], minlength=LEVELS)
    foreground = (truth > 0) & (truth != VOID)
    return inside, int(discriminative.sum()), int(foreground.sum())


def joint_levels(winners: Winners, reference: Winners, truth: NDArray[np.uint8]) -> Counts:
    """Foreground pixels by the recipe's right level and the reference's: (LEVELS, LEVELS)."""
    foreground = (truth > 0) & (truth != VOID)
    a = winners.right(truth)[foreground].astype(np.int64)
    b = reference.right(truth)[foreground]
    return np.bincount(a * LEVELS + b, minlength=LEVELS**2).reshape(LEVELS, LEVELS)


def regions(
    right_in_dr: Counts, dr: Counts, right: Counts, foreground: Counts, predicted: Counts
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """DR-Recall, NDR-Recall and FG-Precision from counts of pixels, of any one shape."""
    return (
        _share(right_in_dr, dr),
        _share(right - right_in_dr, foreground - dr),
        _share(right, predicted),
    )


def recall_curve(joint: Counts, level: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """DR-Recall and NDR-Recall of a recipe at `level`, over the reference's level: (LEVELS,) each."""
    by_reference = joint.sum(0)
    right_by_reference = joint[level + 1 :].sum(0)
    dr = by_reference.sum() - by_reference.cumsum()
    right_in_dr = right_by_reference.sum() - right_by_reference.cumsum()
    right, foreground = right_by_reference.sum(), by_reference.sum()
    return _share(right_in_dr, dr), _share(right - right_in_dr, foreground - dr)


def _share(part: Counts, whole: Counts) -> NDArray[np.float64]:
    part, whole = np.asarray(part, float), np.asarray(whole, float)
    return np.divide(part, whole, out=np.full(np.broadcast(part, whole).shape, np.nan), where=whole > 0)
