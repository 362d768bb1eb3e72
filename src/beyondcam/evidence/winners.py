"""Who wins each pixel: the one form of evidence that seeds and scores both start from."""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from beyondcam.data import VOID
from beyondcam.evidence.levels import Evidence


@dataclass(frozen=True)
class Winners:
    """An image's winning label (0 where it has no target) and the label's level, uint8 (H, W) each."""

    labels: NDArray[np.uint8]
    levels: NDArray[np.uint8]

    def right(self, truth: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The level below which a threshold finds the pixel rightly foreground; 0 where none does."""
        return self.levels * ((self.labels == truth) & (truth > 0) & (truth != VOID))


def level_at_size(evidence: Evidence, k: int) -> NDArray[np.uint8]:
    """The levels (H, W) of the k-th target at the size of the picture as stored.

    One at a time, since all targets of a camera's photo would fill the memory.
    """
    own = evidence.levels[k]
    if own.shape == evidence.size:
        return own
    level = torch.from_numpy(own.astype(np.float32))[None, None]
    return F.interpolate(level, evidence.size, mode="bilinear")[0, 0].round_().to(torch.uint8).numpy()


def winners_of(evidence: Evidence) -> Winners:
    """The winners of an image, ties going to the lower class, at the size of its picture as stored."""
    if not evidence.targets:
        empty = np.zeros(evidence.size, np.uint8)
        return Winners(empty, empty)
    first, *others = np.argsort(evidence.targets).tolist()
    best = level_at_size(evidence, first)
    labels = np.full(evidence.size, evidence.targets[first] + 1, np.uint8)
    for k in others:  # of few targets faster than argmax over them
        own = level_at_size(evidence, k)
        labels[own > best] = evidence.targets[k] + 1
        best = np.maximum(best, own)
    return Winners(labels, best)
