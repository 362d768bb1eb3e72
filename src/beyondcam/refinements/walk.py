"""A random walk over pixels: pixel-adaptive refinement (Araslanov and Roth 2020, arXiv 2005.08104)."""

from collections.abc import Sequence
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

    def prepare(self, photo: Photo, device: torch.device) -> None:
        """Compute the neighbours' weights."""
        weights_of_photo(photo, self.reach, self.contrast, self.side, device)

    def __call__(self, photo: Photo, maps: Tensor) -> Tensor:
        """Walk; the maps are resized for the walk and back, bilinearly."""
        weights = weights_of_photo(photo, self.reach, self.contrast, self.side, maps.device)
        return self._along(weights, maps)

    def within(self, pixels: Tensor, maps: Tensor) -> Tensor:
        """Walk maps (k, H, W) over a part of a photo, uint8 (3, H, W)."""
        return self._along(transition_weights(pixels, self.reach, self.contrast, self.side), maps)

    def _along(self, weights: Tensor, maps: Tensor) -> Tensor:
        """Walk maps (k, H, W) along the weights of each pixel's neighbours (n, h, w)."""
        walked = F.interpolate(maps[None], weights.shape[1:], mode="bilinear", antialias=True)[0]
        padded = _padded(walked, self.reach)
        parts = _neighbours(padded, self.reach)  # they show what is in `padded`
        by_part = weights[:, None].split(_at_once(weights.device, len(weights)))
        means = torch.zeros(len(by_part[0]), *walked.shape, device=maps.device)
        for _ in range(self.steps):
            padded.copy_(_padded(walked, self.reach))
            means.zero_()
            for weight, part in zip(by_part, parts, strict=True):
                means.addcmul_(weight, _stacked(part))  # (m, 1, h, w) · (m, k, h, w)
            walked = means.sum(0)
        return F.interpolate(walked[None], maps.shape[1:], mode="bilinear")[0]


@lru_cache(maxsize=4)
def weights_of_photo(
    photo: Photo, reach: Sequence[int], contrast: float, side: int, device: torch.device
) -> Tensor:
    """The transition weights of a whole photo, computed once for all recipes."""
    return transition_weights(photo.pixels.to(device), reach, contrast, side)


def transition_weights(pixels: Tensor, reach: Sequence[int], contrast: float, side: int) -> Tensor:
    """The weights of each pixel's neighbours, which add up to 1: float32 (8 · len(reach), h, w)."""
    height, width = pixels.shape[1:]
    ratio = min(1, side / max(height, width))
    size = [max(1, round(ratio * extent)) for extent in (height, width)]
    colours = F.interpolate(pixels[None].float() / 255, size, mode="area")[0]  # (3, h, w)
    parts = _neighbours(_padded(colours, reach), reach)
    count = 8 * len(reach)
    weights = colours.new_empty(count, *size)
    by_part = weights.split(_at_once(pixels.device, count))
    difference = colours.new_empty(len(by_part[0]), *colours.shape)  # (m, 3, h, w)
    total, square = torch.zeros_like(difference), torch.zeros_like(difference)
    for part in parts:
        torch.sub(_stacked(part), colours, out=difference)
        total += difference
        square.addcmul_(difference, difference)
    total, square = total.sum(0), square.sum(0)
    # of the neighbours' colours and the pixel's own, whose difference from itself is 0
    deviation = (square - total**2 / (count + 1)).div_(count).clamp_min_(0).sqrt_()  # (3, h, w)
    unlikeness = 1 / (3 * (contrast * deviation + 1e-8))
    for part, weight in zip(parts, by_part, strict=True):
        torch.sub(_stacked(part), colours, out=difference)
        torch.sum(difference.abs_().mul_(unlikeness), 1, out=weight)
    weights.sub_(weights.amin(0)).neg_().exp_()
    return weights.div_(weights.sum(0))


def _padded(maps: Tensor, reach: Sequence[int]) -> Tensor:
    """Maps (k, h, w) with room for the neighbours of the pixels at the border."""
    return F.pad(maps[None], (max(reach),) * 4, mode="replicate")[0]


def _neighbours(padded: Tensor, reach: Sequence[int]) -> list[list[Tensor]]:
    """Views (1, k, h, w) of padded maps, in each of which a pixel has the value of one neighbour.

    They come in parts that are worked on at once, see `_at_once`.
    """
    most = max(reach)
    height, width = (extent - 2 * most for extent in padded.shape[1:])
    views = [
        padded[None, :, most + down :, most + across :][..., :height, :width]
        for distance in reach
        for down in (-distance, 0, distance)
        for across in (-distance, 0, distance)
        if down or across
    ]
    at_once = _at_once(padded.device, len(views))
    return [views[n : n + at_once] for n in range(0, len(views), at_once)]


def _at_once(device: torch.device, count: int) -> int:
    """How many of `count` neighbours are worked on together: all on a GPU, where starting work costs most.

    A CPU's cache holds the pixels of one.
    """
    return 1 if device.type == "cpu" else count


def _stacked(part: Sequence[Tensor]) -> Tensor:
    """The m views of a part as (m, k, h, w); a single one is not copied."""
    return part[0] if len(part) == 1 else torch.cat(list(part))
