"""What a map is: a validated setting that turns a forward pass into maps."""

from pydantic import BaseModel, ConfigDict
from torch import Tensor

from beyondcam.maps.forward import Forward, Needs


class Map(BaseModel):
    """Base of the maps: a `Forward` over P pairs of an input and a target → maps, float (P, h, w).

    Its `kind` is its name in recipes, alone or in a table with its settings. The higher a map at a pixel, the
    more evidence for the target; where it is negative, the pixel speaks against the target. Recipes average
    maps over views first, then set what is negative to 0.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    kind: str

    @property
    def needs(self) -> Needs:
        """What it takes from the forward pass besides scores and activations."""
        return Needs()

    def __call__(self, forward: Forward) -> Tensor:
        """Maps, float (P, h, w), at any resolution."""
        raise NotImplementedError
