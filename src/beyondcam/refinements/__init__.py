"""Refinements: from maps to better maps, with the photo's own edges.

A new one is a subclass of `Refinement` in a file of its own, and one line in `REFINEMENTS`.
"""

from beyondcam.refinements.affinity import Affinity
from beyondcam.refinements.base import Refinement, by_maximum
from beyondcam.refinements.closer import Closer
from beyondcam.refinements.crf import CRF
from beyondcam.refinements.smooth import Smooth
from beyondcam.refinements.superpixels import Resolve, Superpixels
from beyondcam.refinements.walk import Walk

REFINEMENTS: tuple[type[Refinement], ...] = (Smooth, Superpixels, Resolve, Walk, Affinity, Closer, CRF)

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
]
