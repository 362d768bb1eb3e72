"""What a map is: a validated setting that turns a forward pass into maps."""

from pydantic import BaseModel, ConfigDict
from torch import Tensor

from beyondcam.errors import BeyondcamError, shape_of
from beyondcam.maps.forward import Forward, Needs


class Map(BaseModel):
    """Base of the maps: a `Forward` over P pairs of an input and a target → maps, float (P, h, w).

    Its `kind` is its name in recipes, alone or in a table with its settings. The higher a map at a pixel, the
    more evidence for the target; where it is negative, the pixel speaks against the target. Recipes average
    maps over views first, then set what is negative to 0; CAM and maps of layers have no negative values in
    any view.
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

    def of(self, forward: Forward) -> Tensor:
        """The maps as they are used, float32 (P, h, w). Raises `BeyondcamError` where the call gives none."""
        maps, pairs = self(forward), len(forward.rows)
        if not isinstance(maps, Tensor) or maps.ndim != 3 or len(maps) != pairs:
            raise BeyondcamError(f"map {self.kind}: gives {shape_of(maps)}; ({pairs}, h, w) is needed")
        return maps.detach().float()
