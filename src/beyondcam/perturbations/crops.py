"""Random crops, the perturbation of arXiv 2308.11052, which needs no fine-tuning."""

from collections.abc import Iterator
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from beyondcam.perturbations.base import Count, Perturbation, Size, pixels
from beyondcam.perturbations.view import View, generator

Share = Annotated[float, Field(gt=0, le=1)]

_G = 1.2207440846057596
"""The root of g⁴ = g + 1: steps of 1/g, 1/g², 1/g³ (the R3 sequence) fill three dimensions evenly."""


class Crops(Perturbation):
    """n windows of the image, each resized to the network's input.

    Parameters
    ----------
    n : number of windows.
    scale : range of a window's height and width as shares of the image's.
    aspect : "image" keeps the image's proportions; "square" takes square windows, the share being of the
        image's shorter side.
    size : side of the network's input.

    """

    kind: Literal["crops"] = "crops"
    n: Count = 32
    scale: tuple[Share, Share] = (0.3, 0.8)
    aspect: Literal["image", "square"] = "image"
    size: Size = 1.0

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.scale[0] > self.scale[1]:
            raise ValueError("scale: the lower share comes first")
        return self

    def views(self, image_id: str, height: int, width: int, side: int, seed: int) -> Iterator[View]:
        """Yield windows whose centres and scales fill their ranges evenly.

        Centres follow an additive low-discrepancy sequence over the whole image, and a window that crosses
        the border is moved back inside: windows drawn inside the image would seldom cover its border.
        """
        import numpy as np

        steps = 1 / _G ** np.arange(1, 4)
        start = generator(seed, *self.stream(image_id)).random(3)
        for i in range(self.n):
            down, across, share = (start + i * steps) % 1
            scale = self.scale[0] + share * (self.scale[1] - self.scale[0])
            base = (height, width) if self.aspect == "image" else (min(height, width),) * 2
            h, w = (max(1, round(scale * extent)) for extent in base)
            top = min(max(round(down * height - h / 2), 0), height - h)
            left = min(max(round(across * width - w / 2), 0), width - w)
            yield View((top, left, top + h, left + w), pixels(self.size, side))
