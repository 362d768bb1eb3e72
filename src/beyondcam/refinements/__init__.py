"""Refinements: from maps to better maps, with the help of the photo's edges."""

from beyondcam.refinements.affinity import Affinity
from beyondcam.refinements.base import Refinement, by_maximum
from beyondcam.refinements.closer import Closer
from beyondcam.refinements.crf import CRF
from beyondcam.refinements.smooth import Smooth
from beyondcam.refinements.superpixels import Resolve, Superpixels
from beyondcam.refinements.walk import Walk
from beyondcam.registry import Kinds

REFINEMENTS: Kinds[Refinement] = Kinds(
    Refinement, "refinement", Smooth, Superpixels, Resolve, Walk, Affinity, Closer, CRF
)
register_refinement = REFINEMENTS.add

__all__ = [
    "CRF",
    "REFINEMENTS",
    "Affinity",
    "Closer",
    "Refinement",
    "Resolve",
    "Smooth",
    "Superpixels",
    "Walk",
    "by_maximum",
    "register_refinement",
]
