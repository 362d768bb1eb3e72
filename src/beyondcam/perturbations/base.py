"""What a perturbation is: a validated setting that draws the views of an image."""

from collections.abc import Iterator
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from beyondcam.perturbations.view import View

Count = Annotated[int, Field(ge=1)]
Size = Annotated[float, Field(gt=0)]
"""Side of the network's input: pixels (more than 8), or up to 8 as a multiple of the training size."""


class Perturbation(BaseModel):
    """Base of the perturbations. A map over an image is the mean of the maps of its views."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    def views(self, image_id: str, height: int, width: int, side: int, seed: int) -> Iterator[View]:
        """Draw the views of an image, of a network trained at `side` pixels.

        The draws depend on the arguments and this setting alone. The first n are the same whatever n is.
        """
        raise NotImplementedError

    def stream(self, image_id: str) -> tuple[str, str]:
        """Words that name this perturbation's random stream for an image: all of its setting but n."""
        return image_id, self.model_dump_json(exclude={"n"})


def pixels(size: float, side: int) -> int:
    """A `Size` in pixels. Multiples other than 1 are rounded to 8, which networks with strides like."""
    if size == 1:
        return side
    return round(size) if size > 8 else max(8, 8 * round(size * side / 8))
