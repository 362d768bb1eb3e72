"""Noise: SmoothGrad's perturbation (Smilkov et al. 2017, arXiv 1706.03825)."""

from collections.abc import Iterator
from functools import partial
from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from beyondcam.perturbations.base import Count, Perturbation, Size, pixels
from beyondcam.perturbations.view import View, generator


class Noise(Perturbation):
    """n copies with Gaussian noise; `sigma` is a fraction of the input's range (its max minus its min)."""

    kind: Literal["noise"] = "noise"
    n: Count = 16
    sigma: Annotated[float, Field(ge=0)] = 0.15
    size: Size = 1.0

    def views(self, image_id: str, height: int, width: int, side: int, seed: int) -> Iterator[View]:
        """The whole image, with its own noise in each view."""
        for i in range(self.n):
            rng = generator(seed, *self.stream(image_id), i)
            yield View((0, 0, height, width), pixels(self.size, side), alter=partial(self.alter, rng=rng))

    def alter(self, x: Tensor, rng: np.random.Generator) -> Tensor:
        """Add noise to a normalised image (3, H, W)."""
        noise = torch.from_numpy(rng.standard_normal(tuple(x.shape), np.float32)).to(x.device)
        return x + self.sigma * (x.max() - x.min()) * noise
