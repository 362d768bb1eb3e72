"""Noise: SmoothGrad's perturbation (Smilkov et al. 2017, arXiv 1706.03825), who average signed gradients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field, model_validator

from beyondcam.perturbations.base import Alteration

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor


class Noise(Alteration):
    """n copies with noise.

    Parameters
    ----------
    sigma : root mean square of the noise, as a fraction of the input's range (its maximum minus its minimum).
    distribution : "gaussian", "uniform", or "salt-and-pepper": a share 3σ² of the pixels becomes the input's
        minimum or maximum, in all channels at once. For values spread evenly over the range this is a change
        of σ.

    """

    kind: Literal["noise"] = "noise"
    sigma: Annotated[float, Field(ge=0)] = 0.15
    distribution: Literal["gaussian", "uniform", "salt-and-pepper"] = "gaussian"

    @model_validator(mode="after")
    def _share(self) -> Self:
        if self.distribution == "salt-and-pepper" and 3 * self.sigma**2 > 1:
            raise ValueError(f"sigma: salt-and-pepper reaches {3**-0.5:.3f} at most")
        return self

    def alter(self, x: Tensor, rng: np.random.Generator) -> Tensor:
        """Add noise to a normalised image (3, H, W)."""
        import torch

        stream = torch.Generator().manual_seed(int(rng.integers(2**63)))
        low, high = x.aminmax()
        if self.distribution == "salt-and-pepper":
            drawn = torch.rand(x.shape[1:], generator=stream).to(x.device)  # (H, W)
            half = 1.5 * self.sigma**2
            return torch.where(drawn < half, low, torch.where(drawn >= 1 - half, high, x))
        if self.distribution == "uniform":
            unit = torch.rand(x.shape, generator=stream).sub_(0.5).mul_(12**0.5)
        else:
            unit = torch.randn(x.shape, generator=stream)  # twice as fast as numpy's
        return unit.to(x.device).mul_(self.sigma * (high - low)).add_(x)
