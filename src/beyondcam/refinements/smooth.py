"""Gaussian smoothing, the kernel smoothing of arXiv 2308.11052."""

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from beyondcam.data import Photo
from beyondcam.refinements.base import Refinement


class Smooth(Refinement):
    """Gaussian blur.

    Parameters
    ----------
    sigma : its standard deviation, as a share of the photo's longer side (0.016 of 500 pixels is 8).

    """

    kind: Literal["smooth"] = "smooth"
    sigma: Annotated[float, Field(gt=0)] = 0.016

    def __call__(self, photo: Photo, maps: Tensor) -> Tensor:
        """Blur each map, mirrored at the border."""
        from scipy.ndimage import gaussian_filter

        sigma = self.sigma * max(photo.height, photo.width)
        return torch.from_numpy(gaussian_filter(maps.numpy(), (0, sigma, sigma)))
