"""What a refinement is: a validated setting that turns maps into better maps."""

import math
from collections.abc import Callable
from typing import ClassVar

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor

from beyondcam.data import Photo
from beyondcam.errors import BeyondcamError, shape_of


class Refinement(BaseModel):
    """Base of the refinements: (photo, maps (k, H, W)) → maps (k, H, W), float32, k ≥ 1, on the same device.

    Maps are finite and nowhere negative, before and after. Those that are given are left as they are.

    One with an `affinity_size` takes affinities as a third argument. One that `takes_stages` takes, as its
    last argument, the recipe's maps so far: the unrefined ones, and those after each earlier refinement. One
    that is `on_cpu` takes maps on the CPU alone.
    """

    takes_stages: ClassVar[bool] = False
    on_cpu: ClassVar[bool] = False

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    kind: str

    def prepare(self, photo: Photo, device: torch.device) -> None:
        """Do what all recipes of a photo share; its time is charged to none of them."""

    @property
    def affinity_size(self) -> float | None:
        """The size of the input that it needs affinities for (`maps.affinities`), if it needs any."""
        return None

    __call__: ClassVar[Callable[..., Tensor]]

    def of(self, photo: Photo, maps: Tensor, *extra: object) -> Tensor:
        """The refined maps as they are used. Raises `BeyondcamError` where the call gives none."""
        name, version = f"refinement {self.kind}", _version(maps)
        refined = self(photo, maps, *extra)
        if _version(maps) != version:  # other recipes may start from the same maps
            raise BeyondcamError(f"{name}: changes the maps that it is given; work on a copy")
        if not isinstance(refined, Tensor) or refined.shape != maps.shape:
            raise BeyondcamError(f"{name}: gives {shape_of(refined)} for maps {(*maps.shape,)}")
        low, high = torch.stack(refined.aminmax()).tolist()  # NaN where there is one
        if not 0 <= low <= high < math.inf:
            raise BeyondcamError(f"{name}: gives {low:g} to {high:g}; finite numbers from 0 are needed")
        return refined


def _version(maps: Tensor) -> int:
    """How often a tensor was changed in place; of tensors made in inference mode torch does not know."""
    return 0 if maps.is_inference() else maps._version


def by_maximum(maps: Tensor) -> Tensor:
    """Each map (k, H, W) divided by its own maximum; an all-zero map stays zero."""
    return maps / maps.amax((1, 2), keepdim=True).clamp_min(torch.finfo(maps.dtype).tiny)
