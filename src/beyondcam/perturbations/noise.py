"""Noise: SmoothGrad's perturbation (Smilkov et al. 2017, arXiv 1706.03825)."""

from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from beyondcam.perturbations.base import Alteration


class Noise(Alteration):
    """n copies with Gaussian noise; `sigma` is a fraction of the input's range (its max minus its min)."""

    kind: Literal["noise"] = "noise"
    sigma: Annotated[float, Field(ge=0)] = 0.15

    def alter(self, x: Tensor, rng: np.random.Generator) -> Tensor:
        """Add noise to a normalised image (3, H, W)."""
        noise = torch.from_numpy(rng.standard_normal(tuple(x.shape), np.float32)).to(x.device)
        low, high = x.aminmax()
        return noise.mul_(self.sigma * (high - low)).add_(x)
