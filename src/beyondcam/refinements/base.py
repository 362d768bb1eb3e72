"""What a refinement is: a validated setting that turns maps into better maps."""

from pydantic import BaseModel, ConfigDict
from torch import Tensor

from beyondcam.data import Photo


class Refinement(BaseModel):
    """Base of the refinements: (photo, maps (k, H, W)) → maps (k, H, W), float32 on the CPU, k ≥ 1."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    def __call__(self, photo: Photo, maps: Tensor) -> Tensor:
        """Refine the maps of one photo."""
        raise NotImplementedError
