"""Masks: BinaryMask of arXiv 2308.11052, random blocks of the input set to zero."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from beyondcam.perturbations.base import Alteration, Count, pixels
from beyondcam.perturbations.view import View, generator

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor


class Masking(Alteration):
    """Base of the alterations that multiply the input by a random mask in [0, 1]; 0 is the mean colour."""

    @property
    def factor(self) -> float:
        """What the views' maps are multiplied by."""
        return 1.0

    def views(self, image_id: str, height: int, width: int, side: int, seed: int) -> Iterator[View]:
        """Yield the whole image n times, with another mask each time."""
        size = pixels(self.size, side)
        for i in range(self.n):
            mask = self.mask(size, size, generator(seed, *self.stream(image_id), i))
            yield View((0, 0, height, width), size, mask=mask, factor=self.factor)

    def alter(self, x: Tensor, rng: np.random.Generator) -> Tensor:
        """Multiply a normalised image (3, H, W) by a mask."""
        height, width = x.shape[1:]
        return x * self.mask(height, width, rng).to(x.device, x.dtype)

    def mask(self, height: int, width: int, rng: np.random.Generator) -> Tensor:
        """Draw a mask (height, width)."""
        raise NotImplementedError


class Mask(Masking):
    """n copies in which random blocks are set to 0, the mean colour.

    Parameters
    ----------
    rate : expected share of the blocks that are set to 0.
    block : side of a block, in pixels of the input.

    """

    kind: Literal["mask"] = "mask"
    rate: Annotated[float, Field(ge=0, lt=1)] = 0.3
    block: Count = 8

    def mask(self, height: int, width: int, rng: np.random.Generator) -> Tensor:
        """Draw a mask (height, width) of blocks."""
        import numpy as np
        import torch

        blocks = rng.random((-(-height // self.block), -(-width // self.block))) >= self.rate
        visible = np.kron(blocks, np.ones((self.block, self.block), bool))[:height, :width]
        return torch.from_numpy(visible).float()
