"""Maps: where the evidence for a class lies, from one forward pass.

A new map is one function `Forward -> (P, h, w)` in a file of its own, and one line in `MAPS`.
"""

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor

from beyondcam.maps.affinity import affinities
from beyondcam.maps.cam import cam
from beyondcam.maps.forward import Forward, run_forward
from beyondcam.maps.saliency import saliency


class Map(NamedTuple):
    """A map and whether it asks for gradients."""

    of: Callable[[Forward], Tensor]
    gradient: bool


MAPS = {
    "cam": Map(cam, gradient=False),
    "saliency": Map(saliency, gradient=True),
}

__all__ = ["MAPS", "Forward", "Map", "affinities", "cam", "run_forward", "saliency"]
