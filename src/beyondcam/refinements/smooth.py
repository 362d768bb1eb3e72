"""Gaussian smoothing, the kernel smoothing of arXiv 2308.11052."""

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from beyondcam.data import Photo
from beyondcam.refinements.base import Refinement

RADIUS = 4
"""Standard deviations after which the kernel is cut off."""


class Smooth(Refinement):
    """Gaussian blur.

    Parameters
    ----------
    sigma : its standard deviation, as a share of the photo's longer side (0.016 of 500 pixels is 8).

    """

    kind: Literal["smooth"] = "smooth"
    sigma: Annotated[float, Field(gt=0)] = 0.016

    def __call__(self, photo: Photo, maps: Tensor) -> Tensor:
        """Blur each map (k, H, W), mirrored at the border."""
        sigma = self.sigma * max(photo.height, photo.width)
        down, across = (_blur(extent, sigma, maps.device) for extent in maps.shape[1:])
        return down @ maps @ across.T


def _blur(extent: int, sigma: float, device: torch.device) -> Tensor:
    """The blur along an axis as a matrix: float32 (extent, extent)."""
    radius = int(RADIUS * sigma + 0.5)
    offsets = torch.arange(-radius, radius + 1, device=device)
    kernel = (-0.5 * (offsets.double() / sigma) ** 2).exp()
    places = (torch.arange(extent, device=device)[:, None] + offsets) % (2 * extent)
    mirrored = torch.minimum(places, 2 * extent - 1 - places)  # (extent, 2 · radius + 1)
    matrix = kernel.new_zeros(extent, extent)
    return matrix.scatter_add_(1, mirrored, (kernel / kernel.sum()).expand(extent, -1)).float()
