"""Who wins each pixel: the one form of evidence that seeds and scores both start from."""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from beyondcam.data import VOID
from beyondcam.evidence.store import Evidence


@dataclass(frozen=True)
class Winners:
    """An image's winning label (0 where it has no target) and the label's level, uint8 (H, W) each."""

    labels: NDArray[np.uint8]
    levels: NDArray[np.uint8]

    def right(self, truth: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The level below which a threshold finds the pixel rightly foreground; 0 where none does."""
        return self.levels * ((self.labels == truth) & (truth > 0) & (truth != VOID))


def levels_at_size(evidence: Evidence) -> NDArray[np.uint8]:
    """The levels (k, H, W) at the size of the picture as stored."""
    if evidence.levels.shape[1:] == evidence.size:
        return evidence.levels
    levels = torch.from_numpy(evidence.levels.astype(np.float32))[None]
    return F.interpolate(levels, evidence.size, mode="bilinear")[0].round().to(torch.uint8).numpy()


def winners_of(evidence: Evidence) -> Winners:
    """The winners of an image, ties going to the lower class, at the size of its picture as stored."""
    if not evidence.targets:
        empty = np.zeros(evidence.size, np.uint8)
        return Winners(empty, empty)
    levels = levels_at_size(evidence)[np.argsort(evidence.targets)]
    first, *others = sorted(evidence.targets)
    best, labels = levels[0], np.full(evidence.size, first + 1, np.uint8)
    for target, own in zip(others, levels[1:], strict=True):  # of few targets faster than argmax over them
        labels[own > best] = target + 1
        best = np.maximum(best, own)
    return Winners(labels, best)
