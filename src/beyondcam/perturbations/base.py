"""What a perturbation is: a validated setting that draws the views of an image."""

from __future__ import annotations

import json
import math
from collections.abc import Hashable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, ConfigDict, Field

from beyondcam.perturbations.view import View, generator

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

Count = Annotated[int, Field(ge=1)]
Size = Annotated[float, Field(gt=0)]
"""Side of the network's input: pixels (more than 8), or up to 8 as a multiple of the training size."""


class Perturbation(BaseModel):
    """Base of the perturbations. An image's map is the mean of the maps of its views."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    def views(self, image_id: str, height: int, width: int, side: int, seed: int) -> Iterator[View]:
        """Draw the views of an image for a network trained at `side` pixels.

        The draws depend on the arguments and on this setting alone. The first n are the same whatever n is.
        """
        raise NotImplementedError

    @property
    def nest(self) -> Hashable:
        """Equal for two perturbations if the views of one are the first views of the other."""
        return self.model_copy(update={"n": 0}) if "n" in type(self).model_fields else self

    @property
    def limit(self) -> float:
        """How many of the nested views it takes: n, or all of them."""
        return getattr(self, "n", math.inf)

    def stream(self, image_id: str) -> tuple[str, str]:
        """Words that name this perturbation's random stream for an image: all of its setting but n."""
        return image_id, json.dumps(self.model_dump(mode="json", exclude={"n"}), sort_keys=True)


class Alteration(Perturbation):
    """Base of the perturbations that show the whole image n times, its pixels altered anew each time.

    Parameters
    ----------
    n : number of copies.
    size : side of the network's input: up to 8 a multiple of the classifier's, else pixels.

    """

    n: Count = 16
    size: Size = 1.0

    def views(self, image_id: str, height: int, width: int, side: int, seed: int) -> Iterator[View]:
        """Yield the whole image n times, altered differently each time."""
        for i in range(self.n):
            rng = generator(seed, *self.stream(image_id), i)
            yield View((0, 0, height, width), pixels(self.size, side), alter=partial(self.alter, rng=rng))

    def alter(self, x: Tensor, rng: np.random.Generator) -> Tensor:
        """Alter a normalised image (3, H, W)."""
        raise NotImplementedError


def pixels(size: float, side: int) -> int:
    """Convert a `Size` to pixels. Multiples other than 1 are rounded to 8, which suits strided networks."""
    if size == 1:
        return side
    return round(size) if size > 8 else max(8, 8 * round(size * side / 8))
