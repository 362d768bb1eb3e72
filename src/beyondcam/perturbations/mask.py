"""Masks: BinaryMask of arXiv 2308.11052, random blocks of the input set to zero."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from beyondcam.perturbations.base import Alteration, Count

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor


class Mask(Alteration):
    """n copies, with a share `rate` of the blocks of `block` × `block` pixels set to 0, the mean colour."""

    kind: Literal["mask"] = "mask"
    rate: Annotated[float, Field(ge=0, lt=1)] = 0.3
    block: Count = 8

    def alter(self, x: Tensor, rng: np.random.Generator) -> Tensor:
        """Set random blocks of a normalised image (3, H, W) to 0."""
        import numpy as np
        import torch

        height, width = x.shape[1:]
        blocks = rng.random((-(-height // self.block), -(-width // self.block))) >= self.rate
        kept = np.kron(blocks, np.ones((self.block, self.block), bool))[:height, :width]
        return x * torch.from_numpy(kept).to(x.device, x.dtype)
