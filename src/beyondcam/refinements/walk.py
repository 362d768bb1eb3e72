"""A random walk over pixels: pixel-adaptive refinement (Araslanov and Roth 2020, arXiv 2005.08104)."""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from beyondcam.data import Photo
from beyondcam.refinements.base import Refinement

Count = Annotated[int, Field(ge=1)]


class Walk(Refinement):
    """Each pixel takes the weighted mean of others around it, again and again; alike colours weigh more.

    Parameters
    ----------
    steps : how often.
    reach : distances, in pixels, at which a pixel has its eight others.
    contrast : how unlike a colour must be to weigh little, in deviations of the colours around.
    side : longer side, in pixels, of the photo that is walked over; smaller photos as they are.

    """

    kind: Literal["walk"] = "walk"
    steps: Count = 15
    reach: Annotated[tuple[Count, ...], Field(min_length=1)] = (1, 2, 4, 8, 12, 24)
    contrast: Annotated[float, Field(gt=0)] = 0.1
    side: Annotated[int, Field(ge=8)] = 256

    def prepare(self, photo: Photo) -> None:
        """Weigh each pixel's others."""
        transitions(photo, self.reach, self.contrast, self.side)

    def __call__(self, photo: Photo, maps: Tensor) -> Tensor:
        """Walk; the maps are brought to the walked size and back bilinearly."""
        weights = transitions(photo, self.reach, self.contrast, self.side)
        walked = F.interpolate(maps[None], weights.shape[1:], mode="bilinear", antialias=True)[0]
        for _ in range(self.steps):
            before, walked = walked, torch.zeros_like(walked)
            for weight, other in zip(weights, others(before, self.reach), strict=True):
                walked.addcmul_(weight, other)
        return F.interpolate(walked[None], maps.shape[1:], mode="bilinear")[0]


@lru_cache(maxsize=4)
def transitions(photo: Photo, reach: Sequence[int], contrast: float, side: int) -> Tensor:
    """The weight of each pixel's others, which add up to 1: float32 (8 · len(reach), h, w)."""
    ratio = min(1, side / max(photo.height, photo.width))
    size = [max(1, round(ratio * extent)) for extent in (photo.height, photo.width)]
    colours = F.interpolate(photo.pixels[None].float() / 255, size, mode="area")[0]
    around = torch.stack(list(others(colours, reach)))
    deviation = torch.cat([around, colours[None]]).std(0)
    unlike = (around - colours).abs_() / (contrast * deviation + 1e-8)
    return unlike.mean(1).neg_().softmax(0)


def others(maps: Tensor, reach: Sequence[int]) -> Iterator[Tensor]:
    """Views of (k, h, w) in which each pixel has the value of one other; the border's goes on beyond it."""
    height, width = maps.shape[1:]
    most = max(reach)
    padded = F.pad(maps[None], (most,) * 4, mode="replicate")[0]
    for distance in reach:
        for down in (-distance, 0, distance):
            for across in (-distance, 0, distance):
                if down or across:
                    top, left = most + down, most + across
                    yield padded[:, top : top + height, left : left + width]
