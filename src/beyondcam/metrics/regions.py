"""Discriminative regions (DR): how much of what the reference CAM finds, and misses, a recipe finds.

The names are the paper's (arXiv 2308.11052); the formulas are this project's, see docs/metrics.md.
"""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from beyondcam.evidence import LEVELS, Winners, by_level
from beyondcam.metrics.tally import Counts


def right_levels(winners: Winners, mask: NDArray[np.uint8], labels: Iterable[int]) -> list[NDArray[np.uint8]]:
    """The level below which a threshold labels each pixel correctly, 0 for never: (n,) of each of `labels`.

    The n pixels are those where the mask (H, W) shows the label.
    """
    right = winners.levels * (winners.labels == mask)  # (H, W)
    return [right[mask == label] for label in labels]


def joint_levels(right: Iterable[NDArray[np.uint8]], reference: Iterable[NDArray[np.uint8]]) -> Counts:
    """Pixels of each label by the recipe's right level and the reference's: (labels, LEVELS, LEVELS)."""
    both = [by_level(a, b, LEVELS) for a, b in zip(right, reference, strict=True)]
    return np.array(both, np.int64).reshape(-1, LEVELS, LEVELS)


def region_levels(joint: Counts, reference_levels: Sequence[int] | Counts) -> Counts:
    """Pixels in DR of each label, by the recipe's right level: (labels, LEVELS).

    `reference_levels` (labels,) are those above which the reference labels a pixel.
    """
    inside = [pixels[:, level + 1 :].sum(1) for pixels, level in zip(joint, reference_levels, strict=True)]
    return np.array(inside, np.int64).reshape(-1, LEVELS)


def recall_curve(joint: Counts, level: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """DR-Recall and NDR-Recall of a recipe at `level`, over the reference's level: (LEVELS,) each.

    `joint` (LEVELS, LEVELS) are the pixels of all labels.
    """
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
