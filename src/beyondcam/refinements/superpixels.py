"""Superpixels (SLIC, Achanta et al. 2012): a map's mean in each; background resolve (arXiv 2308.11052)."""

from functools import lru_cache
from typing import Annotated, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from beyondcam.data import Photo
from beyondcam.refinements.base import Refinement, by_maximum

COMPACTNESS = 10.0
"""How much nearness counts beside likeness of colour, by default."""


def slic_labels(pixels: Tensor, number: int, compactness: float = COMPACTNESS) -> NDArray[np.int64]:
    """SLIC labels (H, W) of a picture, uint8 (3, H, W): from 0, about `number` of them."""
    from skimage.segmentation import slic

    rgb = pixels.permute(1, 2, 0).numpy()
    return slic(rgb, n_segments=number, compactness=compactness, start_label=0)


@lru_cache(maxsize=8)
def segments(photo: Photo, number: int, compactness: float) -> NDArray[np.int64]:
    """`slic_labels` of a photo, computed once for all recipes."""
    return slic_labels(photo.pixels, number, compactness)


class _BySuperpixel(Refinement):
    """Base of the refinements by SLIC's superpixels.

    Parameters
    ----------
    number : how many there are, about.
    compactness : how much nearness counts beside likeness of colour.

    """

    on_cpu: ClassVar[bool] = True

    number: Annotated[int, Field(ge=1)] = 300
    compactness: Annotated[float, Field(gt=0)] = COMPACTNESS

    def prepare(self, photo: Photo, device: torch.device) -> None:
        """Find the photo's superpixels."""
        del device
        segments(photo, self.number, self.compactness)


class Superpixels(_BySuperpixel):
    """Each pixel gets the mean of its superpixel."""

    kind: Literal["superpixels"] = "superpixels"

    def __call__(self, photo: Photo, maps: Tensor) -> Tensor:
        """Average each map over each superpixel."""
        labels = segments(photo, self.number, self.compactness)
        sizes = np.bincount(labels.ravel())
        means = [np.bincount(labels.ravel(), m.ravel().astype(np.float64)) / sizes for m in maps.numpy()]
        return torch.from_numpy(np.stack(means).astype(np.float32)[:, labels])


class Resolve(_BySuperpixel):
    """Background resolve: each superpixel becomes wholly one class or wholly background.

    It works on evidence, not on one seed, and so holds for every threshold: a superpixel keeps only the class
    with the most evidence in it, at the median over its pixels of the strongest evidence. At any threshold it
    is then background exactly if at least half of its pixels were. (Evidence is stored divided by its
    maximum, as every recipe's is, so the same vote is found at a higher threshold there.)
    """

    kind: Literal["resolve"] = "resolve"

    def __call__(self, photo: Photo, maps: Tensor) -> Tensor:
        """Give each superpixel to its strongest class."""
        labels = segments(photo, self.number, self.compactness)
        values = by_maximum(maps).numpy()
        totals = np.stack([np.bincount(labels.ravel(), v.ravel().astype(np.float64)) for v in values])
        best = values.max(0).ravel()
        order = np.lexsort((best, labels.ravel()))  # the lower median: half background is background
        sizes = np.bincount(labels.ravel())
        level = best[order][sizes.cumsum() - sizes + (sizes - 1) // 2]
        won = np.where(np.arange(len(values))[:, None] == totals.argmax(0), level, 0.0)
        return torch.from_numpy(won.astype(np.float32)[:, labels])
