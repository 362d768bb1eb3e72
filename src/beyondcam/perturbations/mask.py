"""Masks: the study's BinaryMask, random blocks of the input set to zero."""

from collections.abc import Iterator
from functools import partial
from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from beyondcam.perturbations.base import Count, Perturbation, Size, pixels
from beyondcam.perturbations.view import View, generator


class Mask(Perturbation):
    """n copies, each with a share `rate` of its blocks dropped to zero, the mean colour."""

    kind: Literal["mask"] = "mask"
    n: Count = 16
    rate: Annotated[float, Field(ge=0, lt=1)] = 0.3
    block: Count = 8
    size: Size = 1.0

    def views(self, image_id: str, height: int, width: int, side: int, seed: int) -> Iterator[View]:
        """The whole image, with its own blocks dropped in each view."""
        for i in range(self.n):
            rng = generator(seed, *self.stream(image_id), i)
            yield View((0, 0, height, width), pixels(self.size, side), alter=partial(self.alter, rng=rng))

    def alter(self, x: Tensor, rng: np.random.Generator) -> Tensor:
        """Drop blocks of `block` × `block` pixels of a normalised image (3, H, W)."""
        height, width = x.shape[1:]
        blocks = rng.random((-(-height // self.block), -(-width // self.block))) >= self.rate
        kept = np.kron(blocks, np.ones((self.block, self.block), bool))[:height, :width]
        return x * torch.from_numpy(kept).to(x.device, x.dtype)
