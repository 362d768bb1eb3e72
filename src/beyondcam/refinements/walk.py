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
    """Each pixel repeatedly takes a weighted mean of its neighbours; those of similar colour weigh more.

    Parameters
    ----------
    steps : number of repetitions.
    reach : distances, in pixels; a pixel has eight neighbours at each.
    contrast : the difference of colour at which a neighbour weighs little, in standard deviations of the
        neighbourhood's colours.
    side : longer side, in pixels, to which larger photos are reduced for the walk.

    """

    kind: Literal["walk"] = "walk"
    steps: Count = 15
    reach: Annotated[tuple[Count, ...], Field(min_length=1)] = (1, 2, 4, 8, 12, 24)
    contrast: Annotated[float, Field(gt=0)] = 0.1
    side: Annotated[int, Field(ge=8)] = 256

    def prepare(self, photo: Photo) -> None:
        """Compute the neighbours' weights."""
        transition_weights(photo, self.reach, self.contrast, self.side)

    def __call__(self, photo: Photo, maps: Tensor) -> Tensor:
        """Walk; the maps are resized for the walk and back, bilinearly."""
        weights = transition_weights(photo, self.reach, self.contrast, self.side)
        walked = F.interpolate(maps[None], weights.shape[1:], mode="bilinear", antialias=True)[0]
        for _ in range(self.steps):
            before, walked = walked, torch.zeros_like(walked)
            for weight, neighbour in zip(weights, neighbours(before, self.reach), strict=True):
                walked.addcmul_(weight, neighbour)  # (h, w) · (k, h, w)
        return F.interpolate(walked[None], maps.shape[1:], mode="bilinear")[0]


@lru_cache(maxsize=4)
def transition_weights(photo: Photo, reach: Sequence[int], contrast: float, side: int) -> Tensor:
    """The weights of each pixel's neighbours, which add up to 1: float32 (8 · len(reach), h, w)."""
    ratio = min(1, side / max(photo.height, photo.width))
    size = [max(1, round(ratio * extent)) for extent in (photo.height, photo.width)]
    colours = F.interpolate(photo.pixels[None].float() / 255, size, mode="area")[0]  # (3, h, w)
    around = torch.stack(list(neighbours(colours, reach)))  # (8 · len(reach), 3, h, w)
    deviation = torch.cat([around, colours[None]]).std(0)
    difference = (around - colours).abs_() / (contrast * deviation + 1e-8)
    return difference.mean(1).neg_().softmax(0)


def neighbours(maps: Tensor, reach: Sequence[int]) -> Iterator[Tensor]:
    """Shifted copies of (k, h, w), in each of which a pixel has the value of one neighbour."""
    height, width = maps.shape[1:]
    most = max(reach)
    padded = F.pad(maps[None], (most,) * 4, mode="replicate")[0]
    for distance in reach:
        for down in (-distance, 0, distance):
            for across in (-distance, 0, distance):
                if down or across:
                    top, left = most + down, most + across
                    yield padded[:, top : top + height, left : left + width]
