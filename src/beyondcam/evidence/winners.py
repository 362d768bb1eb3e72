"""The winner of each pixel: the form of evidence that both seeds and scores start from."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from beyondcam.evidence.levels import LEVELS, Evidence


@dataclass(frozen=True)
class Winners:
    """The label with the most evidence at each pixel (0 without targets) and its level, uint8 (H, W) each."""

    labels: NDArray[np.uint8]
    levels: NDArray[np.uint8]

    @cached_property
    def present(self) -> NDArray[np.intp]:
        """The labels that win somewhere, in ascending order: (k,)."""
        lowest, highest = self.labels.min(), self.labels.max()
        if lowest == highest:  # as of most photos, which spares counting them
            return np.array([lowest], np.intp)
        return np.flatnonzero(np.bincount(self.labels.ravel()))

    @property
    def won(self) -> NDArray[np.int64]:
        """The pixels that each label of `present` wins, by level: (k, LEVELS)."""
        return by_level(self.labels, self.levels, 256)[self.present]


def by_level(rows: NDArray[Any], levels: NDArray[np.uint8], count: int) -> NDArray[np.int64]:
    """How many pixels have each row, an integer below `count`, and each level: (count, LEVELS).

    `rows` and `levels` have one shape.
    """
    cells: NDArray[Any] = rows.astype(np.uint16 if count <= 256 else np.intp)  # the fewer bytes the faster
    cells *= LEVELS
    cells += levels
    return np.bincount(cells.ravel(), minlength=count * LEVELS).reshape(count, LEVELS)


def level_at_size(evidence: Evidence, k: int) -> NDArray[np.uint8]:
    """The levels of the k-th target, resized bilinearly to the picture as stored: uint8 (H, W).

    One target at a time, since all targets of a camera's photo would fill the memory.
    """
    levels = evidence.levels[k]
    if levels.shape == evidence.size:
        return levels
    level = torch.from_numpy(levels.astype(np.float32))[None, None]
    return F.interpolate(level, evidence.size, mode="bilinear")[0, 0].round_().to(torch.uint8).numpy()


def winners_of(evidence: Evidence) -> Winners:
    """The winners of an image, at the size of its picture as stored; ties go to the lower class."""
    if not evidence.targets:
        empty = np.zeros(evidence.size, np.uint8)
        return Winners(empty, empty)
    first, *others = np.argsort(evidence.targets).tolist()
    best = level_at_size(evidence, first)
    labels = np.full(evidence.size, evidence.targets[first] + 1, np.uint8)
    for k in others:  # for few targets faster than argmax
        levels = level_at_size(evidence, k)
        labels[levels > best] = evidence.targets[k] + 1
        best = np.maximum(best, levels)
    return Winners(labels, best)
