"""Maps: where the evidence for a class lies, from one forward pass."""

from beyondcam.maps.affinity import AFFINITY_NEEDS, affinities
from beyondcam.maps.base import Map
from beyondcam.maps.cam import CAM
from beyondcam.maps.forward import Forward, Needs, run_forward
from beyondcam.maps.saliency import Saliency

MAPS: dict[str, type[Map]] = {"cam": CAM, "saliency": Saliency}

__all__ = [
    "AFFINITY_NEEDS",
    "CAM",
    "MAPS",
    "Forward",
    "Map",
    "Needs",
    "Saliency",
    "affinities",
    "run_forward",
]
